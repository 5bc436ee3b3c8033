//! Expressions in template arguments and types. It never works one out.

use super::node::{Id, List, Node, Prec};
use super::operators::{Kind, Operator};
use super::parser::Parser;

impl<'n> Parser<'n> {
    /// An expression.
    pub(super) fn expression(&mut self) -> Option<Id> {
        self.deeper(Self::expression_itself)
    }

    fn expression_itself(&mut self) -> Option<Id> {
        let global = self.eat("gs");
        if let Some(operator) = self.operator() {
            return self.operation(operator, global);
        }
        match self.look(0) {
            b'L' => return self.primary_expression(),
            b'T' => return self.template_parameter(),
            b'f' if self.look(1) == b'p' || self.look(1) == b'L' && self.look(2).is_ascii_digit() => {
                return self.function_parameter();
            }
            b'f' => return self.fold(),
            b'u' => return self.vendor_expression(),
            _ => {}
        }
        match &self.two() {
            b"il" => {
                self.at += 2;
                let values = self.until("E", Self::braced)?;
                self.node(Node::Braces(None, values))
            }
            b"tl" => {
                self.at += 2;
                let ty = self.ty()?;
                let values = self.until("E", Self::braced)?;
                self.node(Node::Braces(Some(ty), values))
            }
            b"mc" | b"so" => self.part_of_object(),
            b"nx" => self.enclosed("noexcept (", Self::expression),
            b"sp" => {
                self.at += 2;
                let pattern = self.expression()?;
                self.node(Node::Expansion(pattern))
            }
            b"sZ" => {
                self.at += 2;
                if self.look(0) == b'T' {
                    let pack = self.template_parameter()?;
                    return self.node(Node::SizeofPack(pack));
                }
                let pack = self.function_parameter()?;
                self.node(Node::Enclosed("sizeof... (", pack, ")"))
            }
            b"sP" => {
                self.at += 2;
                let arguments = self.until("E", Self::template_argument)?;
                let arguments = self.node(Node::Sequence(arguments))?;
                self.node(Node::Enclosed("sizeof... (", arguments, ")"))
            }
            b"tr" => {
                self.at += 2;
                self.word("throw")
            }
            b"tw" => {
                self.at += 2;
                let value = self.expression()?;
                self.node(Node::Prefixed("throw ", value))
            }
            b"rq" | b"rQ" => self.requires_expression(),
            _ => self.unresolved_name(global),
        }
    }

    fn enclosed(&mut self, words: &'static str, read: impl FnOnce(&mut Self) -> Option<Id>) -> Option<Id> {
        self.at += 2;
        let inside = read(self)?;
        self.node(Node::Enclosed(words, inside, ")"))
    }

    fn operation(&mut self, operator: Operator, global: bool) -> Option<Id> {
        let (symbol, prec) = (operator.symbol(), operator.prec);
        match operator.kind {
            Kind::Binary => {
                let (left, right) = (self.expression()?, self.expression()?);
                self.node(Node::Binary(left, symbol, right, prec))
            }
            Kind::Prefix => {
                let value = self.expression()?;
                self.node(Node::Prefix(symbol, value, prec))
            }
            Kind::Postfix => {
                if self.eat("_") {
                    let value = self.expression()?;
                    return self.node(Node::Prefix(symbol, value, Prec::Unary));
                }
                let value = self.expression()?;
                self.node(Node::Postfix(value, symbol))
            }
            Kind::Subscript => {
                let (base, index) = (self.expression()?, self.expression()?);
                self.node(Node::Subscript(base, index))
            }
            Kind::Member(_) => {
                let (object, member) = (self.expression()?, self.expression()?);
                self.node(Node::Member(object, symbol, member))
            }
            Kind::New(array) => self.new_expression(global, array),
            Kind::Delete(array) => {
                let value = self.expression()?;
                let words = match (global, array) {
                    (false, false) => "delete ",
                    (false, true) => "delete[] ",
                    (true, false) => "::delete ",
                    (true, true) => "::delete[] ",
                };
                self.node(Node::Prefixed(words, value))
            }
            Kind::Call => {
                let function = self.expression()?;
                let arguments = self.until("E", Self::expression)?;
                self.node(Node::Call(function, arguments))
            }
            Kind::Cast => {
                let try_arguments = std::mem::replace(&mut self.try_arguments, false);
                let ty = self.ty();
                self.try_arguments = try_arguments;
                let ty = ty?;
                let values: List =
                    if self.eat("_") { self.until("E", Self::expression)? } else { [self.expression()?].into() };
                self.node(Node::Convert(ty, values))
            }
            Kind::Conditional => {
                let (condition, yes, no) = (self.expression()?, self.expression()?, self.expression()?);
                self.node(Node::Conditional(condition, yes, no))
            }
            Kind::NamedCast => {
                let (ty, value) = (self.ty()?, self.expression()?);
                self.node(Node::Cast(operator.name, ty, value))
            }
            Kind::OfId(of_type) => {
                let argument = if of_type { self.ty()? } else { self.expression()? };
                let words = match operator.name {
                    "sizeof " => "sizeof (",
                    "alignof " => "alignof (",
                    _ => "typeid (",
                };
                self.node(Node::Enclosed(words, argument, ")"))
            }
            Kind::NameOnly => None,
        }
    }

    fn new_expression(&mut self, global: bool, array: bool) -> Option<Id> {
        let placement = self.until("_", Self::expression)?;
        let ty = self.ty()?;
        let arguments: List = if self.eat("pi") {
            self.until("E", Self::expression)?
        } else {
            self.expect("E")?;
            Box::default()
        };
        self.node(Node::New { placement, ty, arguments, global, array })
    }

    /// A member pointer that is converted, or a part of an object.
    fn part_of_object(&mut self) -> Option<Id> {
        let subobject = self.look(0) == b's';
        self.at += 2;
        let (ty, value) = (self.ty()?, self.expression()?);
        let offset = self.number(true);
        if subobject {
            while self.eat("_") {
                self.number(false);
            }
            self.eat("p");
            self.expect("E")?;
            let offset = self.word(if offset.is_empty() { "0" } else { offset })?;
            let place = self.node(Node::Enclosed(" at offset ", offset, ">"))?;
            let ty = self.node(Node::Enclosed(".<", ty, ""))?;
            let part = self.node(Node::Postfix(ty, ""))?;
            let tail = self.node(Node::Member(part, "", place))?;
            return self.node(Node::Member(value, "", tail));
        }
        self.expect("E")?;
        self.node(Node::Convert(ty, [value].into()))
    }

    fn braced(&mut self) -> Option<Id> {
        self.deeper(|this| match &this.two() {
            b"di" => {
                this.at += 2;
                let (element, init) = (this.source_name()?, this.braced()?);
                this.node(Node::Designated { element, init, array: false })
            }
            b"dx" => {
                this.at += 2;
                let (element, init) = (this.expression()?, this.braced()?);
                this.node(Node::Designated { element, init, array: true })
            }
            b"dX" => {
                this.at += 2;
                let (first, last, init) = (this.expression()?, this.expression()?, this.braced()?);
                this.node(Node::DesignatedRange(first, last, init))
            }
            _ => this.expression(),
        })
    }

    fn fold(&mut self) -> Option<Id> {
        self.at += 1;
        let (left, start) = match self.look(0) {
            b'L' => (true, true),
            b'R' => (false, true),
            b'l' => (true, false),
            b'r' => (false, false),
            _ => return None,
        };
        self.at += 1;
        let operator = self.operator().filter(|op| matches!(op.kind, Kind::Binary | Kind::Member(_)))?;
        let mut pack = self.expression()?;
        let mut init = if start { Some(self.expression()?) } else { None };
        if left && let Some(second) = init {
            init = Some(pack);
            pack = second;
        }
        self.node(Node::Fold(left, operator.symbol(), pack, init))
    }

    fn function_parameter(&mut self) -> Option<Id> {
        if self.eat("fpT") {
            return self.word("this");
        }
        if self.eat("fL") {
            self.number(false);
            self.expect("p")?;
        } else {
            self.expect("fp")?;
        }
        self.qualifiers();
        let number = self.index()?;
        self.node(Node::Parameter(u64::try_from(number).ok()?.saturating_add(1)))
    }

    fn vendor_expression(&mut self) -> Option<Id> {
        self.at += 1;
        let word = self.bare_name()?;
        let name = self.word(word)?;
        let arguments: List = match (word, self.look(0)) {
            ("__uuidof", b't') => {
                self.at += 1;
                [self.ty()?].into()
            }
            ("__uuidof", b'z') => {
                self.at += 1;
                [self.expression()?].into()
            }
            _ => self.until("E", Self::template_argument)?,
        };
        self.node(Node::Call(name, arguments))
    }

    fn requires_expression(&mut self) -> Option<Id> {
        let mut params = Vec::new();
        if self.eat("rQ") {
            while !self.eat("_") {
                params.push(self.ty()?);
            }
        } else {
            self.expect("rq")?;
        }
        let requirements = self.until("E", |this| {
            if this.eat("X") {
                let expression = this.expression()?;
                let noexcept = this.eat("N");
                let ty = if this.eat("R") { Some(this.name(None)?) } else { None };
                this.node(Node::ExpressionRequirement(expression, noexcept, ty))
            } else if this.eat("T") {
                let ty = this.ty()?;
                this.node(Node::Enclosed(" typename ", ty, ";"))
            } else {
                this.expect("Q")?;
                let constraint = this.constraint()?;
                this.node(Node::Enclosed(" requires ", constraint, ";"))
            }
        })?;
        self.node(Node::Requires(params.into(), requirements))
    }

    /// `L … E`: a value.
    pub(super) fn primary_expression(&mut self) -> Option<Id> {
        self.expect("L")?;
        let node = match self.look(0) {
            b'b' if self.eat("b0E") => Node::Name("false"),
            b'b' if self.eat("b1E") => Node::Name("true"),
            b'_' => {
                self.expect("_Z")?;
                let name = self.encoding()?;
                self.expect("E")?;
                return Some(name);
            }
            b'A' => {
                let ty = self.ty()?;
                self.expect("E")?;
                Node::StringLiteral(ty)
            }
            b'D' if self.eat("Dn") => {
                self.eat("0");
                self.expect("E")?;
                Node::Name("nullptr")
            }
            b'U' if self.look(1) == b'l' => {
                let lambda = self.unnamed_type_name(None)?;
                self.expect("E")?;
                Node::Lambda(lambda)
            }
            letter => self.number_literal(letter)?,
        };
        self.node(node)
    }

    fn number_literal(&mut self, letter: u8) -> Option<Node<'n>> {
        if let b'f' | b'd' | b'e' = letter {
            self.at += 1;
            let start = self.at;
            while matches!(self.look(0), b'0'..=b'9' | b'a'..=b'f') {
                self.at += 1;
            }
            let digits = self.text.get(start..self.at)?;
            self.expect("E")?;
            let ty = match letter {
                b'f' => "(float)",
                b'd' => "(double)",
                _ => "(long double)",
            };
            return Some(Node::Integer(ty, digits, ""));
        }
        let (ty, suffix) = match letter {
            b'w' => ("(wchar_t)", ""),
            b'b' => ("(bool)", ""),
            b'c' => ("(char)", ""),
            b'a' => ("(signed char)", ""),
            b'h' => ("(unsigned char)", ""),
            b's' => ("(short)", ""),
            b't' => ("(unsigned short)", ""),
            b'i' => ("", ""),
            b'j' => ("", "u"),
            b'l' => ("", "l"),
            b'm' => ("", "ul"),
            b'x' => ("", "ll"),
            b'y' => ("", "ull"),
            b'n' => ("(__int128)", ""),
            b'o' => ("(unsigned __int128)", ""),
            _ => {
                let ty = self.ty()?;
                let value = self.number(true);
                self.expect("E")?;
                return Some(Node::EnumValue(ty, value));
            }
        };
        self.at += 1;
        let value = self.number(true);
        if value.is_empty() {
            return None;
        }
        self.expect("E")?;
        Some(Node::Integer(ty, value, suffix))
    }
}
