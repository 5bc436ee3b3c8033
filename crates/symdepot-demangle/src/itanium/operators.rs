//! The operators of C++ and their two letters. It never reads anything but those.

use super::node::Prec;

/// How the operands of an operator are mangled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Prefix,
    Postfix,
    Binary,
    Subscript,
    /// `true`: it can be the name of a function.
    Member(bool),
    /// `true`: of an array.
    New(bool),
    /// `true`: of an array.
    Delete(bool),
    Call,
    Cast,
    Conditional,
    /// Only a name, never in an expression.
    NameOnly,
    NamedCast,
    /// `true`: of a type.
    OfId(bool),
}

/// An operator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operator {
    pub kind: Kind,
    pub prec: Prec,
    /// Its name as a function.
    pub name: &'static str,
}

impl Operator {
    /// How it stands between its operands.
    pub(super) fn symbol(&self) -> &'static str {
        self.name.strip_prefix("operator").unwrap_or(self.name).trim_start()
    }

    /// Whether a function can have it for a name.
    pub(super) fn names_functions(&self) -> bool {
        !matches!(self.kind, Kind::NamedCast | Kind::OfId(_) | Kind::Member(false))
    }
}

/// The operator of two letters.
pub(super) fn operator(code: [u8; 2]) -> Option<Operator> {
    use Kind::{Binary, Call, Conditional, Delete, Member, NameOnly, NamedCast, New, OfId, Postfix, Prefix, Subscript};
    let (kind, prec, name) = match &code {
        b"aN" => (Binary, Prec::Assign, "operator&="),
        b"aS" => (Binary, Prec::Assign, "operator="),
        b"aa" => (Binary, Prec::AndIf, "operator&&"),
        b"ad" => (Prefix, Prec::Unary, "operator&"),
        b"an" => (Binary, Prec::And, "operator&"),
        b"at" => (OfId(true), Prec::Unary, "alignof "),
        b"aw" => (NameOnly, Prec::Primary, "operator co_await"),
        b"az" => (OfId(false), Prec::Unary, "alignof "),
        b"cc" => (NamedCast, Prec::Postfix, "const_cast"),
        b"cl" | b"cp" => (Call, Prec::Postfix, "operator()"),
        b"cm" => (Binary, Prec::Comma, "operator,"),
        b"co" => (Prefix, Prec::Unary, "operator~"),
        b"cv" => (Kind::Cast, Prec::Cast, "operator"),
        b"dV" => (Binary, Prec::Assign, "operator/="),
        b"da" => (Delete(true), Prec::Unary, "operator delete[]"),
        b"dc" => (NamedCast, Prec::Postfix, "dynamic_cast"),
        b"de" => (Prefix, Prec::Unary, "operator*"),
        b"dl" => (Delete(false), Prec::Unary, "operator delete"),
        b"ds" => (Member(false), Prec::PtrMem, "operator.*"),
        b"dt" => (Member(false), Prec::Postfix, "operator."),
        b"dv" => (Binary, Prec::Multiplicative, "operator/"),
        b"eO" => (Binary, Prec::Assign, "operator^="),
        b"eo" => (Binary, Prec::Xor, "operator^"),
        b"eq" => (Binary, Prec::Equality, "operator=="),
        b"ge" => (Binary, Prec::Relational, "operator>="),
        b"gt" => (Binary, Prec::Relational, "operator>"),
        b"ix" => (Subscript, Prec::Postfix, "operator[]"),
        b"lS" => (Binary, Prec::Assign, "operator<<="),
        b"le" => (Binary, Prec::Relational, "operator<="),
        b"ls" => (Binary, Prec::Shift, "operator<<"),
        b"lt" => (Binary, Prec::Relational, "operator<"),
        b"mI" => (Binary, Prec::Assign, "operator-="),
        b"mL" => (Binary, Prec::Assign, "operator*="),
        b"mi" => (Binary, Prec::Additive, "operator-"),
        b"ml" => (Binary, Prec::Multiplicative, "operator*"),
        b"mm" => (Postfix, Prec::Postfix, "operator--"),
        b"na" => (New(true), Prec::Unary, "operator new[]"),
        b"ne" => (Binary, Prec::Equality, "operator!="),
        b"ng" => (Prefix, Prec::Unary, "operator-"),
        b"nt" => (Prefix, Prec::Unary, "operator!"),
        b"nw" => (New(false), Prec::Unary, "operator new"),
        b"oR" => (Binary, Prec::Assign, "operator|="),
        b"oo" => (Binary, Prec::OrIf, "operator||"),
        b"or" => (Binary, Prec::Ior, "operator|"),
        b"pL" => (Binary, Prec::Assign, "operator+="),
        b"pl" => (Binary, Prec::Additive, "operator+"),
        b"pm" => (Member(true), Prec::PtrMem, "operator->*"),
        b"pp" => (Postfix, Prec::Postfix, "operator++"),
        b"ps" => (Prefix, Prec::Unary, "operator+"),
        b"pt" => (Member(true), Prec::Postfix, "operator->"),
        b"qu" => (Conditional, Prec::Conditional, "operator?"),
        b"rM" => (Binary, Prec::Assign, "operator%="),
        b"rS" => (Binary, Prec::Assign, "operator>>="),
        b"rc" => (NamedCast, Prec::Postfix, "reinterpret_cast"),
        b"rm" => (Binary, Prec::Multiplicative, "operator%"),
        b"rs" => (Binary, Prec::Shift, "operator>>"),
        b"sc" => (NamedCast, Prec::Postfix, "static_cast"),
        b"ss" => (Binary, Prec::Spaceship, "operator<=>"),
        b"st" => (OfId(true), Prec::Unary, "sizeof "),
        b"sz" => (OfId(false), Prec::Unary, "sizeof "),
        b"te" => (OfId(false), Prec::Postfix, "typeid "),
        b"ti" => (OfId(true), Prec::Postfix, "typeid "),
        _ => return None,
    };
    Some(Operator { kind, prec, name })
}
