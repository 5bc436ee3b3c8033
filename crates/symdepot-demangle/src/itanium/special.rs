//! What compilers make by themselves: tables, thunks, guards. It never reads a function.

use super::node::{Id, Node};
use super::parser::Parser;

impl Parser<'_> {
    /// `T…` and `G…`.
    pub(super) fn special_name(&mut self) -> Option<Id> {
        let code = self.two();
        self.at += 2;
        let (words, what) = match &code {
            b"TA" => ("template parameter object for ", self.template_argument()?),
            b"TV" => ("vtable for ", self.ty()?),
            b"TT" => ("VTT for ", self.ty()?),
            b"TI" => ("typeinfo for ", self.ty()?),
            b"TS" => ("typeinfo name for ", self.ty()?),
            b"Tc" => {
                self.call_offset()?;
                self.call_offset()?;
                ("covariant return thunk to ", self.encoding()?)
            }
            b"TC" => {
                let whole = self.ty()?;
                if self.number(true).is_empty() {
                    return None;
                }
                self.expect("_")?;
                let part = self.ty()?;
                return self.node(Node::ConstructionVtable(part, whole));
            }
            b"TW" => ("TLS wrapper function for ", self.name(None)?),
            b"TH" => ("TLS init function for ", self.name(None)?),
            b"Th" | b"Tv" => {
                self.at -= 1;
                self.call_offset()?;
                let virtual_base = code[1] == b'v';
                (if virtual_base { "virtual thunk to " } else { "non-virtual thunk to " }, self.encoding()?)
            }
            b"GV" => ("guard variable for ", self.name(None)?),
            b"GR" => {
                let name = self.name(None)?;
                let numbered = self.sequence_id().is_some();
                if !self.eat("_") && numbered {
                    return None;
                }
                ("reference temporary for ", name)
            }
            b"GI" => {
                let module = self.module_name(None)??;
                ("initializer for module ", module)
            }
            b"GT" => {
                let words = match self.look(0) {
                    b'n' => "non-transaction clone for ",
                    _ => "transaction clone for ",
                };
                self.at += 1;
                (words, self.encoding()?)
            }
            b"GA" => ("hidden alias for ", self.encoding()?),
            _ => return None,
        };
        self.node(Node::Prefixed(words, what))
    }

    fn call_offset(&mut self) -> Option<()> {
        let virtual_base = self.eat("v");
        if !virtual_base {
            self.expect("h")?;
        }
        for _ in 0..=usize::from(virtual_base) {
            if self.number(true).is_empty() {
                return None;
            }
            self.expect("_")?;
        }
        Some(())
    }
}
