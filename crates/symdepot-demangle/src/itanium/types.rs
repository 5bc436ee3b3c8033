//! Types. It never reads what has a type.

use super::node::{Id, Node};
use super::parser::Parser;

impl<'n> Parser<'n> {
    /// A type; what can be referred to later is remembered.
    pub(super) fn ty(&mut self) -> Option<Id> {
        self.deeper(Self::type_itself)
    }

    fn type_itself(&mut self) -> Option<Id> {
        if let Some(word) = builtin(self.look(0)) {
            self.at += 1;
            return self.word(word);
        }
        let result = match self.look(0) {
            b'r' | b'V' | b'K' if self.function_behind_qualifiers() => self.function_type()?,
            b'r' | b'V' | b'K' | b'U' => self.qualified_type()?,
            b'u' => {
                self.at += 1;
                let name = self.bare_name()?;
                if self.eat("I") {
                    let base = self.ty()?;
                    self.expect("E")?;
                    self.node(Node::Transformed(name, base))?
                } else {
                    self.word(name)?
                }
            }
            b'D' => match self.type_of_two_letters()? {
                (result, true) => result,
                (result, false) => return Some(result),
            },
            b'F' => self.function_type()?,
            b'A' => self.array_type()?,
            b'M' => {
                self.at += 1;
                let (class, member) = (self.ty()?, self.ty()?);
                self.node(Node::MemberPointer(class, member))?
            }
            b'T' if matches!(self.look(1), b's' | b'u' | b'e') => {
                self.at += 2;
                // `struct`, `union` and `enum` say nothing to people who read a name.
                self.name(None)?
            }
            b'T' => {
                let parameter = self.template_parameter()?;
                if self.try_arguments && self.look(0) == b'I' {
                    self.subs.push(parameter);
                    let arguments = self.template_arguments(false)?;
                    self.node(Node::Template(parameter, arguments))?
                } else {
                    parameter
                }
            }
            b'P' => self.around(|this, ty| this.node(Node::Pointer(ty)))?,
            b'R' => self.around(|this, ty| this.node(Node::Reference(ty, false)))?,
            b'O' => self.around(|this, ty| this.node(Node::Reference(ty, true)))?,
            b'C' => self.around(|this, ty| this.node(Node::Suffixed(ty, " complex")))?,
            b'G' => self.around(|this, ty| this.node(Node::Suffixed(ty, " imaginary")))?,
            b'S' if self.look(1) != b't' => {
                let (name, substituted) = self.unscoped_name(None)?;
                if self.look(0) == b'I' && (!substituted || self.try_arguments) {
                    if !substituted {
                        self.subs.push(name);
                    }
                    let arguments = self.template_arguments(false)?;
                    self.node(Node::Template(name, arguments))?
                } else if substituted {
                    return Some(name);
                } else {
                    name
                }
            }
            _ => self.name(None)?,
        };
        self.subs.push(result);
        Some(result)
    }

    fn around(&mut self, make: impl FnOnce(&mut Self, Id) -> Option<Id>) -> Option<Id> {
        self.at += 1;
        let ty = self.ty()?;
        make(self, ty)
    }

    fn function_behind_qualifiers(&self) -> bool {
        let behind = (0..3).find(|ahead| !matches!(self.look(*ahead), b'r' | b'V' | b'K')).unwrap_or(3);
        match self.look(behind) {
            b'F' => true,
            b'D' => matches!(self.look(behind + 1), b'o' | b'O' | b'w' | b'x'),
            _ => false,
        }
    }

    /// `D` and a letter; and whether the type can be referred to later.
    fn type_of_two_letters(&mut self) -> Option<(Id, bool)> {
        let word = match self.look(1) {
            b'd' => "decimal64",
            b'e' => "decimal128",
            b'f' => "decimal32",
            b'h' => "half",
            b'i' => "char32_t",
            b's' => "char16_t",
            b'u' => "char8_t",
            b'a' => "auto",
            b'c' => "decltype(auto)",
            b'n' => "std::nullptr_t",
            b'F' => return Some((self.float_type()?, false)),
            b'B' | b'U' => {
                let signed = self.look(1) == b'B';
                self.at += 2;
                let size = if self.look(0).is_ascii_digit() {
                    Node::Name(self.number(false))
                } else {
                    self.expression_node()?
                };
                self.expect("_")?;
                let size = self.node(size)?;
                return Some((self.node(Node::BitInt(size, signed))?, false));
            }
            kind @ (b'k' | b'K') => {
                self.at += 2;
                let constraint = self.name(None)?;
                let suffix = if kind == b'k' { " auto" } else { " decltype(auto)" };
                return Some((self.node(Node::Suffixed(constraint, suffix))?, false));
            }
            b't' | b'T' => return Some((self.decltype()?, true)),
            b'v' => return Some((self.vector_type()?, true)),
            b'p' => {
                self.at += 2;
                let pattern = self.ty()?;
                return Some((self.node(Node::Expansion(pattern))?, true));
            }
            b'o' | b'O' | b'w' | b'x' => return Some((self.function_type()?, true)),
            _ => return None,
        };
        self.at += 2;
        Some((self.word(word)?, false))
    }

    fn expression_node(&mut self) -> Option<Node<'n>> {
        let expression = self.expression()?;
        Some(self.get(expression).clone())
    }

    fn float_type(&mut self) -> Option<Id> {
        self.at += 2;
        let bits = self.number(false);
        let word = match (bits, self.look(0)) {
            ("16", b'b') => "std::bfloat16_t",
            ("16", b'_') => "_Float16",
            ("32", b'_') => "_Float32",
            ("64", b'_') => "_Float64",
            ("128", b'_') => "_Float128",
            ("32", b'x') => "_Float32x",
            ("64", b'x') => "_Float64x",
            ("128", b'x') => "_Float128x",
            _ => return None,
        };
        self.at += 1;
        self.word(word)
    }

    fn qualified_type(&mut self) -> Option<Id> {
        if self.eat("U") {
            let name = self.bare_name()?;
            if let Some(protocol) = name.strip_prefix("objcproto") {
                let protocol = protocol.trim_start_matches(|c: char| c.is_ascii_digit());
                let base = self.deeper(Self::qualified_type)?;
                let protocol = self.word(protocol)?;
                let arguments = self.node(Node::Arguments([protocol].into(), None))?;
                return self.node(Node::Template(base, arguments));
            }
            let arguments = if self.look(0) == b'I' { Some(self.template_arguments(false)?) } else { None };
            let base = self.deeper(Self::qualified_type)?;
            return self.node(Node::Attributed(base, name, arguments));
        }
        let quals = self.qualifiers();
        let base = self.ty()?;
        if quals.is_empty() { Some(base) } else { self.node(Node::Qualified(base, quals)) }
    }

    fn function_type(&mut self) -> Option<Id> {
        let quals = self.qualifiers();
        let exceptions = if self.eat("Do") {
            Some(self.word("noexcept")?)
        } else if self.eat("DO") {
            let condition = self.expression()?;
            self.expect("E")?;
            Some(self.node(Node::Noexcept(condition))?)
        } else if self.eat("Dw") {
            let types = self.until("E", Self::ty)?;
            Some(self.node(Node::Throws(types))?)
        } else {
            None
        };
        self.eat("Dx");
        self.expect("F")?;
        self.eat("Y");
        let returns = self.ty()?;
        let mut params = Vec::new();
        let reference = loop {
            if self.eat("E") {
                break "";
            }
            if self.eat("v") {
                continue;
            }
            if self.eat("RE") {
                break "&";
            }
            if self.eat("OE") {
                break "&&";
            }
            params.push(self.ty()?);
        };
        self.node(Node::FunctionType { returns, params: params.into(), quals, reference, exceptions })
    }

    fn array_type(&mut self) -> Option<Id> {
        self.expect("A")?;
        let size = if self.look(0).is_ascii_digit() {
            let digits = self.number(false);
            Some(self.word(digits)?)
        } else if self.look(0) == b'_' {
            None
        } else {
            Some(self.expression()?)
        };
        self.expect("_")?;
        let element = self.ty()?;
        self.node(Node::Array(element, size))
    }

    fn vector_type(&mut self) -> Option<Id> {
        self.expect("Dv")?;
        let size = if self.look(0).is_ascii_digit() {
            let digits = self.number(false);
            Some(self.word(digits)?)
        } else if self.look(0) == b'_' {
            None
        } else {
            Some(self.expression()?)
        };
        self.expect("_")?;
        if self.eat("p") {
            return self.node(Node::Vector(None, size));
        }
        let element = self.ty()?;
        self.node(Node::Vector(Some(element), size))
    }

    /// `decltype(e)`.
    pub(super) fn decltype(&mut self) -> Option<Id> {
        self.at += 2;
        let expression = self.expression()?;
        self.expect("E")?;
        self.node(Node::Enclosed("decltype(", expression, ")"))
    }
}

/// Types of one letter, which nothing refers back to.
fn builtin(letter: u8) -> Option<&'static str> {
    Some(match letter {
        b'v' => "void",
        b'w' => "wchar_t",
        b'b' => "bool",
        b'c' => "char",
        b'a' => "signed char",
        b'h' => "unsigned char",
        b's' => "short",
        b't' => "unsigned short",
        b'i' => "int",
        b'j' => "unsigned int",
        b'l' => "long",
        b'm' => "unsigned long",
        b'x' => "long long",
        b'y' => "unsigned long long",
        b'n' => "__int128",
        b'o' => "unsigned __int128",
        b'f' => "float",
        b'd' => "double",
        b'e' => "long double",
        b'g' => "__float128",
        b'z' => "...",
        _ => return None,
    })
}
