//! Where reading stands: the bytes that are left, what can be referred to, and how deep it is. It never writes.

use super::node::{Id, List, Node};
use super::operators::{Operator, operator};

/// Nested names, types and expressions. Each level costs stack.
pub(super) const DEEPEST: u32 = 640;

/// Nodes of one name.
const MOST_NODES: usize = 400_000;

/// What is known of a name after it was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameState {
    /// A constructor, destructor or conversion: nothing is returned.
    pub structor: bool,
    /// A template, which says what it returns.
    pub ends_with_arguments: bool,
    /// Of a member function.
    pub quals: super::node::Quals,
    /// Of a member function.
    pub reference: &'static str,
    /// The first parameter is `this`.
    pub explicit_object: bool,
    /// How many references to later arguments there were before.
    pub forwards_at: usize,
}

/// Template arguments that can be referred to, for each level; a level may be unknown.
pub(super) type Levels = Vec<Option<Vec<Id>>>;

/// Reads one mangled name.
#[derive(Debug)]
pub(super) struct Parser<'n> {
    pub text: &'n str,
    pub at: usize,
    pub nodes: Vec<Node<'n>>,
    /// `S_`, `S0_` and so on.
    pub subs: Vec<Id>,
    /// `T_`, `T0_` and so on.
    pub levels: Levels,
    /// References to arguments that come later.
    pub forwards: Vec<Id>,
    pub try_arguments: bool,
    pub allow_forwards: bool,
    pub in_constraint: bool,
    /// The level whose parameters are the `auto`s of a lambda.
    pub lambda_level: Option<usize>,
    /// How many parameters without a name there were: types, values, templates.
    pub invented: [u32; 3],
    depth: u32,
}

impl<'n> Parser<'n> {
    /// Begins with the first byte.
    pub(super) fn new(text: &'n str) -> Self {
        Self {
            text,
            at: 0,
            nodes: Vec::new(),
            subs: Vec::new(),
            levels: Vec::new(),
            forwards: Vec::new(),
            try_arguments: true,
            allow_forwards: false,
            in_constraint: false,
            lambda_level: None,
            invented: [0; 3],
            depth: 0,
        }
    }

    /// The byte `ahead` of the next one, or zero at the end.
    pub(super) fn look(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    /// The next two bytes.
    pub(super) fn two(&self) -> [u8; 2] {
        [self.look(0), self.look(1)]
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'n str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Passes `text` if it comes next.
    pub(super) fn eat(&mut self, text: &str) -> bool {
        let next = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(text.as_bytes()));
        if next {
            self.at += text.len();
        }
        next
    }

    /// Passes `text` or gives up.
    pub(super) fn expect(&mut self, text: &str) -> Option<()> {
        self.eat(text).then_some(())
    }

    /// Adds a node.
    pub(super) fn node(&mut self, node: Node<'n>) -> Option<Id> {
        if self.nodes.len() >= MOST_NODES {
            return None;
        }
        let id = Id(u32::try_from(self.nodes.len()).ok()?);
        self.nodes.push(node);
        Some(id)
    }

    /// A word as a node.
    pub(super) fn word(&mut self, word: &'n str) -> Option<Id> {
        self.node(Node::Name(word))
    }

    /// The node.
    pub(super) fn get(&self, id: Id) -> &Node<'n> {
        &self.nodes[id.0 as usize]
    }

    /// Reads something that may hold the like of itself.
    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth == DEEPEST {
            return None;
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    /// Reads one thing after the other until `end`, which is passed.
    pub(super) fn until(&mut self, end: &str, mut read: impl FnMut(&mut Self) -> Option<Id>) -> Option<List> {
        let mut list = Vec::new();
        while !self.eat(end) {
            list.push(read(self)?);
        }
        Some(list.into())
    }

    /// Digits, with an `n` for minus in front if allowed. May be empty.
    pub(super) fn number(&mut self, negative: bool) -> &'n str {
        let start = self.at;
        if negative {
            self.eat("n");
        }
        let digits = self.at;
        while self.look(0).is_ascii_digit() {
            self.at += 1;
        }
        if self.at == digits {
            self.at = start;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Digits that must be there.
    pub(super) fn positive(&mut self) -> Option<usize> {
        self.number(false).parse().ok()
    }

    /// `_` is 0, `0_` is 1 and so on.
    pub(super) fn index(&mut self) -> Option<usize> {
        if self.eat("_") {
            return Some(0);
        }
        let index = self.positive()?.checked_add(1)?;
        self.expect("_")?;
        Some(index)
    }

    /// A number of digits and capital letters.
    pub(super) fn sequence_id(&mut self) -> Option<usize> {
        let start = self.at;
        while self.look(0).is_ascii_digit() || self.look(0).is_ascii_uppercase() {
            self.at += 1;
        }
        usize::from_str_radix(self.text.get(start..self.at)?, 36).ok()
    }

    /// A length and as many bytes.
    pub(super) fn bare_name(&mut self) -> Option<&'n str> {
        let length = self.positive().filter(|length| *length > 0)?;
        let name = self.text.get(self.at..self.at.checked_add(length)?)?;
        self.at += length;
        Some(name)
    }

    /// A name as it stands in the source.
    pub(super) fn source_name(&mut self) -> Option<Id> {
        let name = self.bare_name()?;
        let hidden = ["_GLOBAL__N", "_GLOBAL_.N", "_GLOBAL_$N"].iter().any(|start| name.starts_with(start));
        self.word(if hidden { "(anonymous namespace)" } else { name })
    }

    /// An operator, if one comes next.
    pub(super) fn operator(&mut self) -> Option<Operator> {
        let found = operator(self.two())?;
        self.at += 2;
        Some(found)
    }

    /// `S_` and the names of the standard library.
    pub(super) fn substitution(&mut self) -> Option<Id> {
        self.expect("S")?;
        let letter = self.look(0);
        if letter.is_ascii_lowercase() {
            if !b"abdios".contains(&letter) {
                return None;
            }
            self.at += 1;
            let standard = self.node(Node::Standard(letter))?;
            let tagged = self.abi_tags(standard)?;
            if tagged != standard {
                self.subs.push(tagged);
            }
            return Some(tagged);
        }
        let index = if self.eat("_") {
            0
        } else {
            let index = self.sequence_id()?.checked_add(1)?;
            self.expect("_")?;
            index
        };
        self.subs.get(index).copied()
    }

    /// `B` and a tag, any number of times.
    pub(super) fn abi_tags(&mut self, mut base: Id) -> Option<Id> {
        while self.eat("B") {
            let tag = self.bare_name()?;
            base = self.node(Node::Tagged(base, tag))?;
        }
        Some(base)
    }
}
