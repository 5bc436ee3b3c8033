//! From the tree to text: names and types. Both steps and length are bounded; it never reads the mangled name.

use super::node::{Id, Node, Prec, Quals, Signature};

/// Nodes that are written at most, repeats counted.
const MOST_STEPS: u32 = 400_000;

/// How deep writing goes. Each level costs stack.
const DEEPEST: u32 = 640;

/// Why a name cannot be written: it would be too long, too deep or never end.
#[derive(Clone, Copy, Debug)]
pub(super) struct TooMuch;

/// What came of writing.
pub(super) type Written = Result<(), TooMuch>;

/// Which element of the packs around is being written, and how many there are; `None` before a pack was met.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PackState {
    /// Which.
    pub index: usize,
    /// Of how many.
    pub count: Option<usize>,
}

/// Writes a tree.
#[derive(Debug)]
pub(super) struct Writer<'t, 'n> {
    pub nodes: &'t [Node<'n>],
    pub out: String,
    pub pack: PackState,
    /// Whether a bare `>` would end the arguments around it.
    pub in_arguments: bool,
    longest: usize,
    steps: u32,
    depth: u32,
}

impl<'t, 'n> Writer<'t, 'n> {
    /// Nothing is written yet; at most `longest` bytes will be.
    pub(super) fn new(nodes: &'t [Node<'n>], longest: usize) -> Self {
        let pack = PackState::default();
        Self { nodes, out: String::new(), pack, in_arguments: false, longest, steps: 0, depth: 0 }
    }

    pub(super) fn get(&self, id: Id) -> &'t Node<'n> {
        &self.nodes[id.0 as usize]
    }

    fn step(&mut self) -> Written {
        self.steps += 1;
        if self.steps > MOST_STEPS { Err(TooMuch) } else { Ok(()) }
    }

    pub(super) fn put(&mut self, text: &str) -> Written {
        if self.out.len() + text.len() > self.longest {
            return Err(TooMuch);
        }
        self.out.push_str(text);
        Ok(())
    }

    /// Writes the whole of a node.
    pub(super) fn all(&mut self, id: Id) -> Written {
        self.left(id)?;
        if self.has_right(id)? { self.right(id) } else { Ok(()) }
    }

    fn deeper(&mut self, write: impl FnOnce(&mut Self) -> Written) -> Written {
        if self.depth == DEEPEST {
            return Err(TooMuch);
        }
        self.depth += 1;
        self.step()?;
        let written = write(self);
        self.depth -= 1;
        written
    }

    /// Writes nodes with commas, leaving out those of which nothing is to be seen.
    pub(super) fn list(&mut self, list: &[Id]) -> Written {
        let mut first = true;
        for id in list {
            let before = self.out.len();
            if !first {
                self.put(", ")?;
            }
            let behind = self.out.len();
            self.operand(*id, Prec::Comma, false)?;
            if self.out.len() == behind {
                self.out.truncate(before);
            } else {
                first = false;
            }
        }
        Ok(())
    }

    /// `(a, b)`.
    pub(super) fn bracketed(&mut self, list: &[Id]) -> Written {
        self.put("(")?;
        self.open(|this| this.list(list))?;
        self.put(")")
    }

    /// Inside of brackets a bare `>` ends nothing.
    pub(super) fn open(&mut self, write: impl FnOnce(&mut Self) -> Written) -> Written {
        let before = std::mem::replace(&mut self.in_arguments, false);
        let written = write(self);
        self.in_arguments = before;
        written
    }

    /// The element of a pack that is being written.
    fn element(&mut self, list: &[Id]) -> Option<Id> {
        if self.pack.count.is_none() {
            self.pack = PackState { index: 0, count: Some(list.len()) };
        }
        list.get(self.pack.index).copied()
    }

    /// Follows what stands for something else.
    fn real(&mut self, mut id: Id) -> Result<Option<Id>, TooMuch> {
        loop {
            self.step()?;
            match self.get(id) {
                Node::Forward(_, Some(behind)) => id = *behind,
                Node::Forward(_, None) => return Ok(None),
                Node::Pack(list) => match self.element(list) {
                    Some(element) => id = element,
                    None => return Ok(None),
                },
                _ => return Ok(Some(id)),
            }
        }
    }

    /// Walks through pointers and the like down to a node that decides.
    fn core(&mut self, mut id: Id, through_pointers: bool) -> Result<Option<&'t Node<'n>>, TooMuch> {
        loop {
            let Some(real) = self.real(id)? else { return Ok(None) };
            match self.get(real) {
                Node::Qualified(base, _) => id = *base,
                Node::Pointer(base) | Node::Reference(base, _) | Node::MemberPointer(_, base) if through_pointers => {
                    id = *base;
                }
                node => return Ok(Some(node)),
            }
        }
    }

    /// Whether something is written behind the name of what has this type.
    pub(super) fn has_right(&mut self, id: Id) -> Result<bool, TooMuch> {
        let core = self.core(id, true)?;
        Ok(matches!(core, Some(Node::Array(..) | Node::FunctionType { .. } | Node::Function(_))))
    }

    fn is_array(&mut self, id: Id) -> Result<bool, TooMuch> {
        Ok(matches!(self.core(id, false)?, Some(Node::Array(..))))
    }

    fn is_function(&mut self, id: Id) -> Result<bool, TooMuch> {
        Ok(matches!(self.core(id, false)?, Some(Node::FunctionType { .. } | Node::Function(_))))
    }

    /// References to references are one: `&` wins.
    fn collapse(&mut self, mut base: Id, mut rvalue: bool) -> Result<Option<(Id, bool)>, TooMuch> {
        loop {
            let Some(real) = self.real(base)? else { return Ok(None) };
            match self.get(real) {
                Node::Reference(inner, inner_rvalue) => (base, rvalue) = (*inner, rvalue && *inner_rvalue),
                _ => return Ok(Some((real, rvalue))),
            }
        }
    }

    /// What stands in front of the name of what has this type.
    pub(super) fn left(&mut self, id: Id) -> Written {
        self.deeper(|this| this.left_itself(id))
    }

    fn left_itself(&mut self, id: Id) -> Written {
        match self.get(id) {
            Node::Qualified(base, quals) => {
                self.left(*base)?;
                self.quals(*quals)
            }
            Node::Pointer(base) => self.left_of_pointer(*base, "*"),
            Node::Reference(base, rvalue) => match self.collapse(*base, *rvalue)? {
                Some((base, rvalue)) => self.left_of_pointer(base, if rvalue { "&&" } else { "&" }),
                None => Ok(()),
            },
            Node::MemberPointer(class, member) => {
                self.left(*member)?;
                let brackets = self.is_array(*member)? || self.is_function(*member)?;
                self.put(if brackets { "(" } else { " " })?;
                self.all(*class)?;
                self.put("::*")
            }
            Node::Array(element, _) => self.left(*element),
            Node::FunctionType { returns, .. } => {
                self.left(*returns)?;
                self.put(" ")
            }
            Node::Function(signature) => self.left_of_function(signature),
            Node::Forward(..) | Node::Pack(_) => match self.real(id)? {
                Some(real) => self.left(real),
                None => Ok(()),
            },
            node => self.word_or_expression(node),
        }
    }

    fn left_of_pointer(&mut self, base: Id, sign: &str) -> Written {
        self.left(base)?;
        if self.is_array(base)? {
            self.put(" (")?;
        } else if self.is_function(base)? {
            self.put("(")?;
        }
        self.put(sign)
    }

    fn left_of_function(&mut self, signature: &Signature) -> Written {
        // Only what a returned function pointer needs is written of the type that is returned.
        if let Some(returns) = signature.returns
            && self.has_right(returns)?
        {
            self.left(returns)?;
        }
        self.all(signature.name)
    }

    /// What stands behind the name of what has this type.
    pub(super) fn right(&mut self, id: Id) -> Written {
        self.deeper(|this| this.right_itself(id))
    }

    fn right_itself(&mut self, id: Id) -> Written {
        match self.get(id) {
            Node::Qualified(base, _) => self.right(*base),
            Node::Pointer(base) => self.right_of_pointer(*base),
            Node::Reference(base, rvalue) => match self.collapse(*base, *rvalue)? {
                Some((base, _)) => self.right_of_pointer(base),
                None => Ok(()),
            },
            Node::MemberPointer(_, member) => self.right_of_pointer(*member),
            Node::Array(element, size) => {
                if !self.out.ends_with(']') {
                    self.put(" ")?;
                }
                self.put("[")?;
                if let Some(size) = size {
                    self.open(|this| this.all(*size))?;
                }
                self.put("]")?;
                self.right(*element)
            }
            Node::FunctionType { returns, params, quals, reference, exceptions } => {
                self.bracketed(params)?;
                self.right(*returns)?;
                self.quals(*quals)?;
                self.reference(reference)?;
                if let Some(exceptions) = exceptions {
                    self.put(" ")?;
                    self.all(*exceptions)?;
                }
                Ok(())
            }
            Node::Function(signature) => self.right_of_function(signature),
            Node::Forward(..) | Node::Pack(_) => match self.real(id)? {
                Some(real) => self.right(real),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn right_of_pointer(&mut self, base: Id) -> Written {
        if self.is_array(base)? || self.is_function(base)? {
            self.put(")")?;
        }
        self.right(base)
    }

    fn right_of_function(&mut self, signature: &Signature) -> Written {
        self.bracketed(&signature.params)?;
        if let Some(returns) = signature.returns
            && self.has_right(returns)?
        {
            self.right(returns)?;
        }
        self.quals(signature.quals)?;
        self.reference(signature.reference)?;
        if let Some(attributes) = signature.attributes {
            self.all(attributes)?;
        }
        if let Some(requires) = signature.requires {
            self.put(" requires ")?;
            self.all(requires)?;
        }
        Ok(())
    }

    fn reference(&mut self, reference: &str) -> Written {
        if reference.is_empty() {
            return Ok(());
        }
        self.put(" ")?;
        self.put(reference)
    }

    fn quals(&mut self, quals: Quals) -> Written {
        for (is, word) in
            [(quals.is_const, " const"), (quals.is_volatile, " volatile"), (quals.is_restrict, " __restrict")]
        {
            if is {
                self.put(word)?;
            }
        }
        Ok(())
    }
}
