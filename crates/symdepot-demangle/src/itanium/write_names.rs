//! From the tree to text: names, templates and what compilers made. It never writes an operator.

use super::node::{Id, Node};
use super::write::{PackState, TooMuch, Writer, Written};

impl<'n> Writer<'_, 'n> {
    /// Nodes that have nothing on their right.
    pub(super) fn word_or_expression(&mut self, node: &Node<'n>) -> Written {
        match node {
            Node::Name(word) => self.put(word),
            Node::Nested(scope, name) => {
                self.all(*scope)?;
                self.put("::")?;
                self.all(*name)
            }
            Node::Standard(letter) => {
                self.put("std::")?;
                self.put(short_name(*letter))
            }
            Node::StandardFull(letter) => {
                self.put("std::")?;
                self.put(long_name(*letter))
            }
            Node::Friend(scope, name) => {
                self.all(*scope)?;
                self.put("::friend ")?;
                self.all(*name)
            }
            Node::Module(parent, name, partition) => {
                if let Some(parent) = parent {
                    self.all(*parent)?;
                }
                if *partition || parent.is_some() {
                    self.put(if *partition { ":" } else { "." })?;
                }
                self.all(*name)
            }
            Node::OfModule(module, name) => {
                self.all(*name)?;
                self.put("@")?;
                self.all(*module)
            }
            Node::Tagged(base, tag) => {
                self.all(*base)?;
                self.put("[abi:")?;
                self.put(tag)?;
                self.put("]")
            }
            Node::Bindings(names) => {
                self.put("[")?;
                self.list(names)?;
                self.put("]")
            }
            Node::Template(name, arguments) => {
                self.all(*name)?;
                self.all(*arguments)
            }
            Node::Arguments(list, requires) => self.arguments(list, *requires),
            Node::ArgumentPack(list) => self.list(list),
            Node::Expansion(pattern) => self.expansion(*pattern),
            Node::Structor(class, destructor) => {
                if *destructor {
                    self.put("~")?;
                }
                self.base_name(*class)
            }
            Node::Conversion(ty) => {
                self.put("operator ")?;
                self.all(*ty)
            }
            Node::Unnamed(number) => self.put(&format!("{{unnamed type#{number}}}")),
            Node::Closure { .. } => self.closure(node),
            Node::Prefixed(words, what) => {
                self.put(words)?;
                self.all(*what)
            }
            Node::ConstructionVtable(part, whole) => {
                self.put("construction vtable for ")?;
                self.all(*part)?;
                self.put("-in-")?;
                self.all(*whole)
            }
            Node::Throws(types) => {
                self.put("throw")?;
                self.bracketed(types)
            }
            Node::Vector(element, size) => {
                match element {
                    Some(element) => self.all(*element)?,
                    None => self.put("pixel")?,
                }
                self.put(" vector[")?;
                if let Some(size) = size {
                    self.all(*size)?;
                }
                self.put("]")
            }
            Node::BitInt(size, signed) => {
                self.put(if *signed { "_BitInt(" } else { "unsigned _BitInt(" })?;
                self.open(|this| this.all(*size))?;
                self.put(")")
            }
            Node::Attributed(ty, name, arguments) => {
                self.all(*ty)?;
                self.put(" ")?;
                self.put(name)?;
                arguments.map_or(Ok(()), |arguments| self.all(arguments))
            }
            Node::Suffixed(ty, suffix) => {
                self.all(*ty)?;
                self.put(suffix)
            }
            Node::Transformed(name, ty) => {
                self.put(name)?;
                self.put("(")?;
                self.all(*ty)?;
                self.put(")")
            }
            Node::LiteralOperator(name) => {
                self.put("operator\"\" ")?;
                self.all(*name)
            }
            Node::EnableIf(conditions) => {
                self.put(" [enable_if:")?;
                self.list(conditions)?;
                self.put("]")
            }
            Node::Noexcept(condition) => {
                self.put("noexcept(")?;
                self.open(|this| this.all(*condition))?;
                self.put(")")
            }
            _ => self.declaration(node),
        }
    }

    fn arguments(&mut self, list: &[Id], requires: Option<Id>) -> Written {
        let before = std::mem::replace(&mut self.in_arguments, true);
        self.put("<")?;
        self.list(list)?;
        if let Some(requires) = requires {
            self.put(" requires ")?;
            self.all(requires)?;
        }
        self.in_arguments = before;
        // Two of them in a row would be a shift to old readers.
        self.put(if self.out.ends_with('>') { " >" } else { ">" })
    }

    fn expansion(&mut self, pattern: Id) -> Written {
        let before = std::mem::take(&mut self.pack);
        let start = self.out.len();
        self.all(pattern)?;
        let written = match self.pack.count {
            None => self.put("..."),
            Some(0) => {
                self.out.truncate(start);
                Ok(())
            }
            Some(count) => (1..count).try_for_each(|index| {
                self.put(", ")?;
                self.pack = PackState { index, count: Some(count) };
                self.all(pattern)
            }),
        };
        self.pack = before;
        written
    }

    fn closure(&mut self, node: &Node<'n>) -> Written {
        let Node::Closure { template, first, params, last, number } = node else { return Err(TooMuch) };
        self.put("{lambda")?;
        if !template.is_empty() {
            self.put("<")?;
            self.list(template)?;
            self.put(">")?;
        }
        if let Some(requires) = first {
            self.put(" requires ")?;
            self.all(*requires)?;
            self.put(" ")?;
        }
        self.bracketed(params)?;
        if let Some(requires) = last {
            self.put(" requires ")?;
            self.all(*requires)?;
        }
        self.put(&format!("#{number}}}"))
    }

    /// Parameters of templates, as they are declared.
    fn declaration(&mut self, node: &Node<'n>) -> Written {
        match node {
            Node::Invented(word, number) => {
                self.put(word)?;
                match number.checked_sub(1) {
                    None => Ok(()),
                    Some(number) => self.put(&number.to_string()),
                }
            }
            Node::TypeParameter(constraint, name) => {
                match constraint {
                    Some(constraint) => self.all(*constraint)?,
                    None => self.put("typename")?,
                }
                self.put(" ")?;
                self.all(*name)
            }
            Node::ValueParameter(ty, name) => {
                self.left(*ty)?;
                if !self.has_right(*ty)? {
                    self.put(" ")?;
                }
                self.all(*name)?;
                self.right(*ty)
            }
            Node::TemplateParameter(name, params, requires) => {
                self.put("template<")?;
                self.list(params)?;
                self.put("> typename ")?;
                self.all(*name)?;
                if let Some(requires) = requires {
                    self.put(" requires ")?;
                    self.all(*requires)?;
                }
                Ok(())
            }
            Node::PackParameter(parameter) => {
                let start = self.out.len();
                self.all(*parameter)?;
                // `typename $T` becomes `typename... $T`.
                if self.out.len() + 3 > start
                    && let Some(blank) = self.out.rfind(' ').filter(|blank| *blank >= start)
                {
                    self.out.insert_str(blank, "...");
                }
                Ok(())
            }
            _ => self.operation(node),
        }
    }

    /// The name of a class without scope and arguments, as its constructors have it.
    fn base_name(&mut self, mut id: Id) -> Written {
        for _ in 0..1000 {
            match self.get(id) {
                Node::Nested(_, name) | Node::Friend(_, name) | Node::OfModule(_, name) => id = *name,
                Node::Template(name, _) | Node::Tagged(name, _) | Node::Forward(_, Some(name)) => id = *name,
                Node::Standard(letter) | Node::StandardFull(letter) => return self.put(base_name(*letter)),
                _ => return self.all(id),
            }
        }
        Err(TooMuch)
    }
}

fn short_name(letter: u8) -> &'static str {
    match letter {
        b'a' => "allocator",
        b'b' => "basic_string",
        b's' => "string",
        b'i' => "istream",
        b'o' => "ostream",
        _ => "iostream",
    }
}

fn long_name(letter: u8) -> &'static str {
    match letter {
        b'a' => "allocator",
        b'b' => "basic_string",
        b's' => "basic_string<char, std::char_traits<char>, std::allocator<char> >",
        b'i' => "basic_istream<char, std::char_traits<char> >",
        b'o' => "basic_ostream<char, std::char_traits<char> >",
        _ => "basic_iostream<char, std::char_traits<char> >",
    }
}

fn base_name(letter: u8) -> &'static str {
    match letter {
        b'a' => "allocator",
        b'b' | b's' => "basic_string",
        b'i' => "basic_istream",
        b'o' => "basic_ostream",
        _ => "basic_iostream",
    }
}
