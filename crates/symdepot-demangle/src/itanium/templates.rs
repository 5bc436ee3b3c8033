//! Arguments and parameters of templates. It never reads a function.

use super::node::{Id, Node};
use super::parser::Parser;

impl Parser<'_> {
    /// `I … E`. With `tag`, `T_` means these from now on.
    pub(super) fn template_arguments(&mut self, tag: bool) -> Option<Id> {
        self.deeper(|this| this.template_arguments_itself(tag))
    }

    fn template_arguments_itself(&mut self, tag: bool) -> Option<Id> {
        self.expect("I")?;
        if tag {
            self.levels = vec![Some(Vec::new())];
        }
        let mut list = Vec::new();
        let mut requires = None;
        while !self.eat("E") {
            let argument = self.template_argument()?;
            list.push(argument);
            if tag {
                let entry = match self.get(argument) {
                    Node::ArgumentPack(pack) => Node::Pack(pack.clone()),
                    _ => Node::Name(""),
                };
                let entry = if matches!(entry, Node::Pack(_)) { self.node(entry)? } else { argument };
                if let Some(Some(level)) = self.levels.first_mut() {
                    level.push(entry);
                }
            }
            if self.eat("Q") {
                requires = Some(self.constraint()?);
                self.expect("E")?;
                break;
            }
        }
        self.node(Node::Arguments(list.into(), requires))
    }

    /// One argument.
    pub(super) fn template_argument(&mut self) -> Option<Id> {
        match self.look(0) {
            b'X' => {
                self.at += 1;
                let expression = self.expression()?;
                self.expect("E")?;
                Some(expression)
            }
            b'J' => {
                self.at += 1;
                let pack = self.deeper(|this| this.until("E", Self::template_argument))?;
                self.node(Node::ArgumentPack(pack))
            }
            b'L' if self.look(1) == b'Z' => {
                self.at += 2;
                let function = self.encoding()?;
                self.expect("E")?;
                Some(function)
            }
            b'L' => self.primary_expression(),
            b'T' if self.at_parameter_declaration() => {
                // How the parameter is declared is only for telling overloads apart.
                self.deeper(|this| {
                    this.parameter_declaration(None)?;
                    this.template_argument()
                })
            }
            _ => self.ty(),
        }
    }

    /// `T_`, `T0_`, `TL0__`.
    pub(super) fn template_parameter(&mut self) -> Option<Id> {
        let start = self.at;
        self.expect("T")?;
        let level = if self.eat("L") {
            let level = self.positive()?.checked_add(1)?;
            self.expect("_")?;
            level
        } else {
            0
        };
        let index = self.index()?;
        if self.in_constraint {
            // Which argument is meant cannot always be known here.
            let name = self.text.get(start..self.at - 1)?;
            return self.word(name);
        }
        if self.allow_forwards && level == 0 {
            let forward = self.node(Node::Forward(u32::try_from(index).ok()?, None))?;
            self.forwards.push(forward);
            return Some(forward);
        }
        if let Some(found) = self.levels.get(level).and_then(|known| known.as_ref()?.get(index)) {
            return Some(*found);
        }
        if self.lambda_level == Some(level) && level <= self.levels.len() {
            // The parameters of a generic lambda.
            if level == self.levels.len() {
                self.levels.push(None);
            }
            return self.word(AUTO.get(index).copied().unwrap_or("auto"));
        }
        None
    }

    /// Whether a declaration of a template parameter comes next.
    pub(super) fn at_parameter_declaration(&self) -> bool {
        self.look(0) == b'T' && matches!(self.look(1), b'y' | b'p' | b't' | b'n' | b'k')
    }

    /// How a template parameter is declared. It can be referred to at `level`.
    pub(super) fn parameter_declaration(&mut self, level: Option<usize>) -> Option<Id> {
        self.deeper(|this| this.parameter_declaration_itself(level))
    }

    fn parameter_declaration_itself(&mut self, level: Option<usize>) -> Option<Id> {
        self.expect("T")?;
        let kind = self.look(0);
        self.at += 1;
        match kind {
            b'y' => {
                let name = self.invent(0, "$T", level)?;
                self.node(Node::TypeParameter(None, name))
            }
            b'k' => {
                let constraint = self.name(None)?;
                let name = self.invent(0, "$T", level)?;
                self.node(Node::TypeParameter(Some(constraint), name))
            }
            b'n' => {
                let name = self.invent(1, "$N", level)?;
                let ty = self.ty()?;
                self.node(Node::ValueParameter(ty, name))
            }
            b't' => {
                let name = self.invent(2, "$TT", level)?;
                let depth = self.levels.len();
                self.levels.push(Some(Vec::new()));
                let mut params = Vec::new();
                let mut requires = None;
                while !self.eat("E") {
                    params.push(self.parameter_declaration(Some(depth))?);
                    if self.eat("Q") {
                        requires = Some(self.constraint()?);
                        self.expect("E")?;
                        break;
                    }
                }
                self.levels.truncate(depth);
                self.node(Node::TemplateParameter(name, params.into(), requires))
            }
            b'p' => {
                let parameter = self.parameter_declaration(level)?;
                self.node(Node::PackParameter(parameter))
            }
            _ => None,
        }
    }

    fn invent(&mut self, kind: usize, word: &'static str, level: Option<usize>) -> Option<Id> {
        let number = self.invented[kind];
        self.invented[kind] += 1;
        let name = self.node(Node::Invented(word, number))?;
        if let Some(Some(params)) = level.and_then(|level| self.levels.get_mut(level)) {
            params.push(name);
        }
        Some(name)
    }

    /// What `requires` asks for.
    pub(super) fn constraint(&mut self) -> Option<Id> {
        let before = std::mem::replace(&mut self.in_constraint, true);
        let expression = self.expression();
        self.in_constraint = before;
        expression
    }
}

/// The `auto`s of a generic lambda.
const AUTO: [&str; 8] = ["auto:1", "auto:2", "auto:3", "auto:4", "auto:5", "auto:6", "auto:7", "auto:8"];
