//! From the tree to text: expressions, with brackets where they are needed. It never writes a name's scope.

use super::node::{Id, Node, Prec};
use super::write::{TooMuch, Writer, Written};

impl<'n> Writer<'_, 'n> {
    /// Writes a node, in brackets if it binds more loosely than what is around it.
    pub(super) fn operand(&mut self, id: Id, around: Prec, strictly: bool) -> Written {
        let inside = precedence(self.get(id));
        if inside > around || inside == around && !strictly {
            self.put("(")?;
            self.open(|this| this.all(id))?;
            return self.put(")");
        }
        self.all(id)
    }

    /// Expressions and values.
    pub(super) fn operation(&mut self, node: &Node<'n>) -> Written {
        match node {
            Node::Binary(left, symbol, right, prec) => {
                // These would end the arguments.
                if self.in_arguments && matches!(*symbol, ">" | ">>") {
                    self.put("(")?;
                    self.open(|this| this.binary(*left, symbol, *right, *prec))?;
                    return self.put(")");
                }
                self.binary(*left, symbol, *right, *prec)
            }
            Node::Prefix(symbol, value, prec) => {
                self.put(symbol)?;
                self.operand(*value, *prec, false)
            }
            Node::Postfix(value, symbol) => {
                self.operand(*value, Prec::Postfix, true)?;
                self.put(symbol)
            }
            Node::Subscript(base, index) => {
                self.operand(*base, Prec::Postfix, true)?;
                self.put("[")?;
                self.open(|this| this.all(*index))?;
                self.put("]")
            }
            Node::Member(object, symbol, member) => {
                self.operand(*object, Prec::Postfix, true)?;
                self.put(symbol)?;
                self.all(*member)
            }
            Node::Conditional(condition, yes, no) => {
                self.operand(*condition, Prec::Conditional, false)?;
                self.put(" ? ")?;
                self.all(*yes)?;
                self.put(" : ")?;
                self.operand(*no, Prec::Assign, true)
            }
            Node::Cast(words, ty, value) => {
                self.put(words)?;
                self.put("<")?;
                self.all(*ty)?;
                self.put(">(")?;
                self.open(|this| this.all(*value))?;
                self.put(")")
            }
            Node::Convert(ty, values) => {
                self.put("(")?;
                self.open(|this| this.all(*ty))?;
                self.put(")")?;
                self.bracketed(values)
            }
            Node::Call(function, arguments) => {
                self.all(*function)?;
                self.bracketed(arguments)
            }
            Node::SizeofPack(pack) => self.sizeof_pack(*pack),
            Node::Enclosed(before, inside, behind) => {
                self.put(before)?;
                self.open(|this| this.all(*inside))?;
                self.put(behind)
            }
            Node::New { .. } => self.new_expression(node),
            Node::Braces(ty, values) => {
                if let Some(ty) = ty {
                    self.all(*ty)?;
                }
                self.put("{")?;
                self.list(values)?;
                self.put("}")
            }
            Node::Designated { element, init, array } => {
                self.put(if *array { "[" } else { "." })?;
                self.all(*element)?;
                self.put(if *array { "]" } else { "" })?;
                self.init(*init)
            }
            Node::DesignatedRange(first, last, init) => {
                self.put("[")?;
                self.all(*first)?;
                self.put(" ... ")?;
                self.all(*last)?;
                self.put("]")?;
                self.init(*init)
            }
            Node::Fold(left, symbol, pack, init) => self.fold(*left, symbol, *pack, *init),
            Node::Sequence(list) => self.list(list),
            _ => self.value(node),
        }
    }

    fn binary(&mut self, left: Id, symbol: &str, right: Id, prec: Prec) -> Written {
        let assignment = prec == Prec::Assign;
        self.operand(left, if assignment { Prec::OrIf } else { prec }, !assignment)?;
        self.put(if symbol == "," { "" } else { " " })?;
        self.put(symbol)?;
        self.put(" ")?;
        self.operand(right, prec, assignment)
    }

    fn value(&mut self, node: &Node<'n>) -> Written {
        match node {
            Node::Integer(ty, digits, suffix) => {
                self.put(ty)?;
                self.digits(digits)?;
                self.put(suffix)
            }
            Node::EnumValue(ty, digits) => {
                self.put("(")?;
                self.open(|this| this.all(*ty))?;
                self.put(")")?;
                self.digits(digits)
            }
            Node::StringLiteral(ty) => {
                self.put("\"<")?;
                self.all(*ty)?;
                self.put(">\"")
            }
            Node::Lambda(closure) => self.all(*closure),
            Node::Parameter(number) => self.put(&format!("{{parm#{number}}}")),
            Node::Requires(params, requirements) => {
                self.put("requires")?;
                if !params.is_empty() {
                    self.put(" ")?;
                    self.bracketed(params)?;
                }
                self.put(" {")?;
                for requirement in requirements {
                    self.all(*requirement)?;
                }
                self.put(" }")
            }
            Node::ExpressionRequirement(expression, noexcept, ty) => {
                let braces = *noexcept || ty.is_some();
                self.put(if braces { " {" } else { " " })?;
                self.all(*expression)?;
                self.put(if braces { "}" } else { "" })?;
                self.put(if *noexcept { " noexcept" } else { "" })?;
                if let Some(ty) = ty {
                    self.put(" -> ")?;
                    self.all(*ty)?;
                }
                self.put(";")
            }
            // Everything else was written before it came here.
            _ => Err(TooMuch),
        }
    }

    fn digits(&mut self, digits: &str) -> Written {
        match digits.strip_prefix('n') {
            Some(digits) => {
                self.put("-")?;
                self.put(digits)
            }
            None => self.put(digits),
        }
    }

    /// The elements of the pack, or what stands for them.
    fn sizeof_pack(&mut self, pack: Id) -> Written {
        self.put("sizeof...(")?;
        let Node::Pack(list) = self.get(pack) else {
            self.all(pack)?;
            return self.put(")");
        };
        self.list(list)?;
        self.put(")")
    }

    fn init(&mut self, init: Id) -> Written {
        if !matches!(self.get(init), Node::Designated { .. } | Node::DesignatedRange(..)) {
            self.put(" = ")?;
        }
        self.all(init)
    }

    fn new_expression(&mut self, node: &Node<'n>) -> Written {
        let Node::New { placement, ty, arguments, global, array } = node else { return Err(TooMuch) };
        self.put(if *global { "::new" } else { "new" })?;
        self.put(if *array { "[]" } else { "" })?;
        if !placement.is_empty() {
            self.put(" ")?;
            self.bracketed(placement)?;
        }
        self.put(" ")?;
        self.all(*ty)?;
        if arguments.is_empty() { Ok(()) } else { self.bracketed(arguments) }
    }

    fn fold(&mut self, left: bool, symbol: &str, pack: Id, init: Option<Id>) -> Written {
        self.put("(")?;
        let spaced = |symbol: &str| format!(" {symbol} ");
        self.open(|this| {
            let whole_pack = |this: &mut Self| {
                this.put("(")?;
                this.all(pack)?;
                this.put(")")
            };
            match (left, init) {
                (true, Some(init)) => {
                    this.operand(init, Prec::Cast, true)?;
                    this.put(&spaced(symbol))?;
                }
                (true, None) => {}
                (false, _) => {
                    whole_pack(this)?;
                    this.put(&spaced(symbol))?;
                }
            }
            this.put("...")?;
            match (left, init) {
                (true, _) => {
                    this.put(&spaced(symbol))?;
                    whole_pack(this)
                }
                (false, Some(init)) => {
                    this.put(&spaced(symbol))?;
                    this.operand(init, Prec::Cast, true)
                }
                (false, None) => Ok(()),
            }
        })?;
        self.put(")")
    }
}

fn precedence(node: &Node<'_>) -> Prec {
    match node {
        Node::Binary(_, _, _, prec) | Node::Prefix(_, _, prec) => *prec,
        Node::Postfix(..) | Node::Subscript(..) | Node::Member(..) | Node::Cast(..) | Node::Call(..) => Prec::Postfix,
        Node::Conditional(..) => Prec::Conditional,
        Node::Convert(..) => Prec::Cast,
        Node::New { .. } => Prec::Unary,
        _ => Prec::Primary,
    }
}
