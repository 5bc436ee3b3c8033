//! Encodings and names: what a symbol stands for. It never reads what a name is used in.

use super::node::{Id, Node, Quals, Signature};
use super::operators::Kind;
use super::parser::{NameState, Parser};

impl<'n> Parser<'n> {
    /// A function with its parameters, a variable, or something that the compiler made.
    pub(super) fn encoding(&mut self) -> Option<Id> {
        self.deeper(|this| {
            let levels = std::mem::take(&mut this.levels);
            let read = this.encoding_itself();
            this.levels = levels;
            read
        })
    }

    fn encoding_itself(&mut self) -> Option<Id> {
        if matches!(self.look(0), b'G' | b'T') {
            return self.special_name();
        }
        let mut state = NameState { forwards_at: self.forwards.len(), ..NameState::default() };
        let name = self.name(Some(&mut state))?;
        self.resolve_forwards(state.forwards_at)?;
        if self.at_end_of_encoding() {
            return Some(name);
        }
        let mut attributes = None;
        if self.eat("Ua9enable_ifI") {
            let list = self.until("E", Self::template_argument)?;
            attributes = Some(self.node(Node::EnableIf(list))?);
        }
        let returns = if !state.structor && state.ends_with_arguments { Some(self.ty()?) } else { None };
        let mut params = Vec::new();
        if !self.eat("v") {
            loop {
                let mut param = self.ty()?;
                if state.explicit_object && params.is_empty() {
                    param = self.node(Node::Prefixed("this ", param))?;
                }
                params.push(param);
                if self.at_end_of_encoding() || self.look(0) == b'Q' {
                    break;
                }
            }
        }
        let requires = if self.eat("Q") { Some(self.constraint()?) } else { None };
        let NameState { quals, reference, .. } = state;
        let params = params.into();
        self.node(Node::Function(Box::new(Signature { name, returns, params, attributes, requires, quals, reference })))
    }

    fn at_end_of_encoding(&self) -> bool {
        matches!(self.look(0), 0 | b'E' | b'.' | b'_')
    }

    fn resolve_forwards(&mut self, begin: usize) -> Option<()> {
        for forward in self.forwards.split_off(begin) {
            let Node::Forward(index, _) = *self.get(forward) else { continue };
            let argument = *self.levels.first()?.as_ref()?.get(index as usize)?;
            self.nodes[forward.0 as usize] = Node::Forward(index, Some(argument));
        }
        Some(())
    }

    /// A name with its scope.
    pub(super) fn name(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        self.deeper(|this| this.name_itself(state))
    }

    fn name_itself(&mut self, mut state: Option<&mut NameState>) -> Option<Id> {
        match self.look(0) {
            b'N' => return self.nested_name(state),
            b'Z' => return self.local_name(state),
            _ => {}
        }
        let (result, substituted) = self.unscoped_name(state.as_deref_mut())?;
        if self.look(0) != b'I' {
            return (!substituted).then_some(result);
        }
        if !substituted {
            self.subs.push(result);
        }
        let arguments = self.template_arguments(state.is_some())?;
        if let Some(state) = state {
            state.ends_with_arguments = true;
        }
        self.node(Node::Template(result, arguments))
    }

    /// A name without scope or in `std`, and whether it is nothing but a substitution.
    pub(super) fn unscoped_name(&mut self, state: Option<&mut NameState>) -> Option<(Id, bool)> {
        let std = if self.eat("St") { Some(self.word("std")?) } else { None };
        let mut module = None;
        if self.look(0) == b'S' {
            let found = self.substitution()?;
            match self.get(found) {
                Node::Module(..) => module = Some(found),
                _ if std.is_none() => return Some((found, true)),
                _ => return None,
            }
        }
        Some((self.unqualified_name(state, std, module)?, false))
    }

    /// One name in its scope.
    fn unqualified_name(&mut self, state: Option<&mut NameState>, scope: Option<Id>, module: Option<Id>) -> Option<Id> {
        let module = self.module_name(module)?;
        let friend = scope.is_some() && self.eat("F");
        self.eat("L");
        let mut result = match self.look(0) {
            b'1'..=b'9' => self.source_name()?,
            b'U' => self.unnamed_type_name(state)?,
            b'D' if self.look(1) == b'C' => {
                self.at += 2;
                let names = self.until("E", Self::source_name)?;
                self.node(Node::Bindings(names))?
            }
            b'C' | b'D' if matches!(self.look(1), b'I' | b'0'..=b'9') && scope.is_some() && module.is_none() => {
                self.structor_name(scope?, state)?
            }
            _ => self.operator_name(state)?,
        };
        if let Some(module) = module {
            result = self.node(Node::OfModule(module, result))?;
        }
        result = self.abi_tags(result)?;
        match scope {
            Some(scope) if friend => self.node(Node::Friend(scope, result)),
            Some(scope) => self.node(Node::Nested(scope, result)),
            None => Some(result),
        }
    }

    /// `W` and a name, any number of times.
    pub(super) fn module_name(&mut self, mut module: Option<Id>) -> Option<Option<Id>> {
        while self.eat("W") {
            let partition = self.eat("P");
            let name = self.source_name()?;
            let found = self.node(Node::Module(module, name, partition))?;
            self.subs.push(found);
            module = Some(found);
        }
        Some(module)
    }

    fn nested_name(&mut self, mut state: Option<&mut NameState>) -> Option<Id> {
        self.expect("N")?;
        if self.eat("H") {
            if let Some(state) = state.as_deref_mut() {
                state.explicit_object = true;
            }
        } else {
            let quals = self.qualifiers();
            let reference = if self.eat("O") {
                "&&"
            } else if self.eat("R") {
                "&"
            } else {
                ""
            };
            if let Some(state) = state.as_deref_mut() {
                (state.quals, state.reference) = (quals, reference);
            }
        }
        let mut so_far = None;
        while !self.eat("E") {
            if let Some(state) = state.as_deref_mut() {
                state.ends_with_arguments = false;
            }
            match self.look(0) {
                b'T' if so_far.is_none() => so_far = Some(self.template_parameter()?),
                b'T' => return None,
                b'I' => {
                    let base = so_far?;
                    if matches!(self.get(base), Node::Template(..)) {
                        return None;
                    }
                    let arguments = self.template_arguments(state.is_some())?;
                    if let Some(state) = state.as_deref_mut() {
                        state.ends_with_arguments = true;
                    }
                    so_far = Some(self.node(Node::Template(base, arguments))?);
                }
                b'D' if matches!(self.look(1), b't' | b'T') && so_far.is_none() => so_far = Some(self.decltype()?),
                b'S' => {
                    let std = self.eat("St");
                    let found = if std { self.word("std")? } else { self.substitution()? };
                    match self.get(found) {
                        Node::Module(..) => {
                            let name = self.unqualified_name(state.as_deref_mut(), so_far, Some(found))?;
                            so_far = Some(name);
                        }
                        _ if so_far.is_some() => return None,
                        _ => {
                            so_far = Some(found);
                            continue;
                        }
                    }
                }
                _ => so_far = Some(self.unqualified_name(state.as_deref_mut(), so_far, None)?),
            }
            self.subs.push(so_far?);
            self.eat("M");
        }
        // The whole is a candidate only where it is a type, which adds it.
        self.subs.pop()?;
        so_far
    }

    fn local_name(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        self.expect("Z")?;
        let function = self.encoding()?;
        self.expect("E")?;
        if self.eat("s") {
            self.discriminator();
            let literal = self.word("string literal")?;
            return self.node(Node::Nested(function, literal));
        }
        let default_argument = self.eat("d");
        if default_argument {
            self.number(true);
            self.expect("_")?;
        }
        let entity = self.name(state)?;
        if !default_argument {
            self.discriminator();
        }
        self.node(Node::Nested(function, entity))
    }

    fn discriminator(&mut self) {
        let start = self.at;
        if self.eat("__") {
            let digits = !self.number(false).is_empty();
            if !(digits && self.eat("_")) {
                self.at = start;
            }
        } else if self.eat("_") {
            if self.look(0).is_ascii_digit() {
                self.at += 1;
            } else {
                self.at = start;
            }
        } else if self.look(0).is_ascii_digit() {
            self.number(false);
            if self.at != self.text.len() {
                self.at = start;
            }
        }
    }

    fn structor_name(&mut self, scope: Id, state: Option<&mut NameState>) -> Option<Id> {
        let mut class = scope;
        if let Node::Standard(letter) = *self.get(scope) {
            class = self.node(Node::StandardFull(letter))?;
            // Its scope is written out too.
            self.nodes[scope.0 as usize] = Node::StandardFull(letter);
        }
        let destructor = self.eat("D");
        if !destructor {
            self.expect("C")?;
        }
        let inherited = !destructor && self.eat("I");
        if !matches!((destructor, self.look(0)), (false, b'1'..=b'5') | (true, b'0' | b'1' | b'2' | b'4' | b'5')) {
            return None;
        }
        self.at += 1;
        if let Some(state) = state {
            state.structor = true;
        }
        if inherited {
            self.name(None)?;
        }
        self.node(Node::Structor(class, destructor))
    }

    /// The name of a function that is an operator.
    pub(super) fn operator_name(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        if self.eat("li") {
            let name = self.source_name()?;
            return self.node(Node::LiteralOperator(name));
        }
        if self.look(0) == b'v' && self.look(1).is_ascii_digit() {
            self.at += 2;
            let name = self.source_name()?;
            return self.node(Node::Conversion(name));
        }
        let operator = self.operator()?;
        if operator.kind != Kind::Cast {
            return operator.names_functions().then(|| self.word(operator.name))?;
        }
        let saved = (self.try_arguments, self.allow_forwards);
        self.try_arguments = false;
        self.allow_forwards |= state.is_some();
        let ty = self.ty();
        (self.try_arguments, self.allow_forwards) = saved;
        if let Some(state) = state {
            state.structor = true;
        }
        let ty = ty?;
        self.node(Node::Conversion(ty))
    }

    pub(super) fn unnamed_type_name(&mut self, state: Option<&mut NameState>) -> Option<Id> {
        if state.is_some() {
            self.levels.clear();
        }
        if self.eat("Ut") {
            let number = self.unnamed_number()?;
            return self.node(Node::Unnamed(number));
        }
        if self.eat("Ub") {
            self.unnamed_number()?;
            return self.word("'block-literal'");
        }
        self.expect("Ul")?;
        let depth = self.levels.len();
        let lambda_level = self.lambda_level.replace(depth);
        let closure = self.deeper(|this| this.closure(depth));
        self.lambda_level = lambda_level;
        self.levels.truncate(depth);
        closure
    }

    fn closure(&mut self, depth: usize) -> Option<Id> {
        self.levels.push(Some(Vec::new()));
        let mut template = Vec::new();
        while self.at_parameter_declaration() {
            template.push(self.parameter_declaration(Some(depth))?);
        }
        if template.is_empty() {
            self.levels.truncate(depth);
        }
        let first = if self.eat("Q") { Some(self.constraint()?) } else { None };
        let mut params = Vec::new();
        if !self.eat("v") {
            while !matches!(self.look(0), b'E' | b'Q') {
                params.push(self.ty()?);
            }
        }
        let last = if self.eat("Q") { Some(self.constraint()?) } else { None };
        self.expect("E")?;
        let number = self.unnamed_number()?;
        self.node(Node::Closure { template: template.into(), first, params: params.into(), last, number })
    }

    /// The number of something that has no name, counted from one.
    fn unnamed_number(&mut self) -> Option<u64> {
        Some(u64::try_from(self.index()?).ok()?.saturating_add(1))
    }

    /// Any of `r`, `V` and `K`.
    pub(super) fn qualifiers(&mut self) -> Quals {
        let is_restrict = self.eat("r");
        let is_volatile = self.eat("V");
        let is_const = self.eat("K");
        Quals { is_const, is_volatile, is_restrict }
    }
}
