//! Names in expressions that only template arguments give a meaning to. It never reads a value.

use super::node::{Id, Node};
use super::parser::Parser;

impl Parser<'_> {
    /// A name whose meaning depends on template arguments.
    pub(super) fn unresolved_name(&mut self, global: bool) -> Option<Id> {
        if self.eat("srN") {
            let mut so_far = self.unresolved_type()?;
            so_far = self.with_arguments(so_far)?;
            while !self.eat("E") {
                let name = self.simple_id()?;
                so_far = self.node(Node::Nested(so_far, name))?;
            }
            let base = self.base_unresolved_name()?;
            return self.node(Node::Nested(so_far, base));
        }
        if !self.eat("sr") {
            let name = self.base_unresolved_name()?;
            return if global { self.node(Node::Prefixed("::", name)) } else { Some(name) };
        }
        let so_far = if self.look(0).is_ascii_digit() {
            let first = self.simple_id()?;
            let mut so_far = if global { self.node(Node::Prefixed("::", first))? } else { first };
            while !self.eat("E") {
                let name = self.simple_id()?;
                so_far = self.node(Node::Nested(so_far, name))?;
            }
            so_far
        } else {
            let ty = self.unresolved_type()?;
            self.with_arguments(ty)?
        };
        let base = self.base_unresolved_name()?;
        self.node(Node::Nested(so_far, base))
    }

    fn with_arguments(&mut self, base: Id) -> Option<Id> {
        if self.look(0) != b'I' {
            return Some(base);
        }
        let arguments = self.template_arguments(false)?;
        self.node(Node::Template(base, arguments))
    }

    fn unresolved_type(&mut self) -> Option<Id> {
        let found = match self.look(0) {
            b'T' => self.template_parameter()?,
            b'D' => self.decltype()?,
            _ => return self.substitution(),
        };
        self.subs.push(found);
        Some(found)
    }

    fn base_unresolved_name(&mut self) -> Option<Id> {
        if self.look(0).is_ascii_digit() {
            return self.simple_id();
        }
        if self.eat("dn") {
            let ty = if self.look(0).is_ascii_digit() { self.simple_id()? } else { self.unresolved_type()? };
            return self.node(Node::Prefixed("~", ty));
        }
        self.eat("on");
        let operator = self.operator_name(None)?;
        self.with_arguments(operator)
    }

    fn simple_id(&mut self) -> Option<Id> {
        let name = self.source_name()?;
        self.with_arguments(name)
    }
}
