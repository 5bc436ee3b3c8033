//! The tree that a mangled name is read into. Plain data; it never knows how it is written.

/// A node of the tree, by its place in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Id(pub u32);

/// Some nodes in order.
pub(super) type List = Box<[Id]>;

/// `const`, `volatile` and `restrict`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Quals {
    /// `const`.
    pub is_const: bool,
    /// `volatile`.
    pub is_volatile: bool,
    /// `restrict`.
    pub is_restrict: bool,
}

impl Quals {
    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// How tightly an operator binds; lower binds tighter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Prec {
    Primary,
    Postfix,
    Unary,
    Cast,
    PtrMem,
    Multiplicative,
    Additive,
    Shift,
    Spaceship,
    Relational,
    Equality,
    And,
    Xor,
    Ior,
    AndIf,
    OrIf,
    Conditional,
    Assign,
    Comma,
}

/// A function as it is declared.
#[derive(Clone, Debug)]
pub(super) struct Signature {
    /// Its name with everything around it.
    pub name: Id,
    /// What templates return; only its right side is ever written.
    pub returns: Option<Id>,
    /// Parameters.
    pub params: List,
    /// `enable_if` attributes.
    pub attributes: Option<Id>,
    /// A trailing `requires`.
    pub requires: Option<Id>,
    /// Of a member function.
    pub quals: Quals,
    /// `&` or `&&` of a member function.
    pub reference: &'static str,
}

/// One node.
#[derive(Clone, Debug)]
pub(super) enum Node<'n> {
    /// A word as it stands.
    Name(&'n str),
    /// `a::b`, in names and in expressions.
    Nested(Id, Id),
    /// `std::string` and the like, by its letter.
    Standard(u8),
    /// The same written out, as its constructors have it.
    StandardFull(u8),
    /// `scope::friend name`.
    Friend(Id, Id),
    /// A C++20 module: parent, name, whether it is a partition.
    Module(Option<Id>, Id, bool),
    /// `name@module`.
    OfModule(Id, Id),
    /// `name[abi:tag]`.
    Tagged(Id, &'n str),
    /// `[a, b]`.
    Bindings(List),
    /// `name<args>`.
    Template(Id, Id),
    /// `<a, b>` with a constraint.
    Arguments(List, Option<Id>),
    /// The arguments that one pack holds, written one after the other.
    ArgumentPack(List),
    /// A parameter that stands for a pack.
    Pack(List),
    /// `pattern...`.
    Expansion(Id),
    /// A template parameter whose argument comes later: its index, then what it is.
    Forward(u32, Option<Id>),
    /// A constructor, or with `true` a destructor, of a class.
    Structor(Id, bool),
    /// `operator T`.
    Conversion(Id),
    /// `{unnamed type#1}`.
    Unnamed(u64),
    /// `{lambda<…>(…)#1}`.
    Closure { template: List, first: Option<Id>, params: List, last: Option<Id>, number: u64 },
    /// Words in front of something.
    Prefixed(&'static str, Id),
    /// Words, something, words.
    Enclosed(&'static str, Id, &'static str),
    /// `construction vtable for A-in-B`.
    ConstructionVtable(Id, Id),
    /// A function.
    Function(Box<Signature>),
    /// `T const`.
    Qualified(Id, Quals),
    /// `T*`.
    Pointer(Id),
    /// `T&`, or with `true` `T&&`.
    Reference(Id, bool),
    /// `T C::*`: the class, the member.
    MemberPointer(Id, Id),
    /// `T [n]`.
    Array(Id, Option<Id>),
    /// `R (A, B)`.
    FunctionType { returns: Id, params: List, quals: Quals, reference: &'static str, exceptions: Option<Id> },
    /// `throw(A, B)`.
    Throws(List),
    /// `T vector[n]`; a pixel vector has no element.
    Vector(Option<Id>, Option<Id>),
    /// `_BitInt(n)`; `true` is signed.
    BitInt(Id, bool),
    /// `T attribute<args>`.
    Attributed(Id, &'n str, Option<Id>),
    /// `T suffix`.
    Suffixed(Id, &'static str),
    /// `trait(T)` of a vendor.
    Transformed(&'n str, Id),
    /// `a op b`.
    Binary(Id, &'static str, Id, Prec),
    /// `op a`.
    Prefix(&'static str, Id, Prec),
    /// `a op`.
    Postfix(Id, &'static str),
    /// `a[b]`.
    Subscript(Id, Id),
    /// `a.b`.
    Member(Id, &'static str, Id),
    /// `a ? b : c`.
    Conditional(Id, Id, Id),
    /// `static_cast<T>(a)`.
    Cast(&'static str, Id, Id),
    /// `sizeof...(pack)`.
    SizeofPack(Id),
    /// `f(a, b)`.
    Call(Id, List),
    /// `(T)(a, b)`.
    Convert(Id, List),
    /// `new (placement) T(arguments)`.
    New { placement: List, ty: Id, arguments: List, global: bool, array: bool },
    /// `T{a, b}`.
    Braces(Option<Id>, List),
    /// `.field = a` or `[index] = a`.
    Designated { element: Id, init: Id, array: bool },
    /// `[a ... b] = c`.
    DesignatedRange(Id, Id, Id),
    /// `(a + ...)`: from the left, the operator, the pack, the start.
    Fold(bool, &'static str, Id, Option<Id>),
    /// A literal: type in brackets or nothing, digits, suffix.
    Integer(&'static str, &'n str, &'static str),
    /// `(T)5`.
    EnumValue(Id, &'n str),
    /// `"<T>"`.
    StringLiteral(Id),
    /// A lambda as an expression.
    Lambda(Id),
    /// `{parm#1}`.
    Parameter(u64),
    /// `requires (a) { … }`.
    Requires(List, List),
    /// `{ e } noexcept -> C;`
    ExpressionRequirement(Id, bool, Option<Id>),
    /// A template parameter that has no name: `T`, `N` or `TT`, and how many came before.
    Invented(&'static str, u32),
    /// `typename T`, constraint in front if any.
    TypeParameter(Option<Id>, Id),
    /// `int N`.
    ValueParameter(Id, Id),
    /// `template<…> typename T`.
    TemplateParameter(Id, List, Option<Id>),
    /// `typename... T`.
    PackParameter(Id),
    /// `operator""_x`.
    LiteralOperator(Id),
    /// ` [enable_if:…]`.
    EnableIf(List),
    /// `noexcept(e)`.
    Noexcept(Id),
    /// Several expressions with commas.
    Sequence(List),
}
