//! Names of every compiler, as people read them, and names that must not take long.

use super::*;

fn readable(name: &str) -> String {
    demangle(name).unwrap_or_else(|| name.to_owned())
}

#[test]
fn names_of_every_language_are_read_but_those_of_swift() {
    for (name, expected) in [
        ("_ZN3foo3barEiPKc", "foo::bar(int, char const*)"),
        ("__ZN3foo3barEiPKc", "foo::bar(int, char const*)"),
        ("?square@@YAHH@Z", "square(int)"),
        ("_ZN6shapes5boxes17h0123456789abcdefE", "shapes::boxes"),
        ("_ZN6shapes5boxes17h0123456789abcdefE.llvm.123", "shapes::boxes"),
        ("_RNvCs1234_7mycrate3foo", "mycrate::foo"),
        ("$s8mangling12GenericUnionO", "$s8mangling12GenericUnionO"),
        ("_Rnonsense", "_Rnonsense"),
        ("_Zebra", "_Zebra"),
        ("main", "main"),
        ("", ""),
    ] {
        assert_eq!(readable(name), expected);
    }
}

#[test]
fn the_language_says_whether_a_name_is_mangled_at_all() {
    for (name, language, expected) in [
        ("_ZN3foo3barEiPKc", Language::Unknown, "foo::bar(int, char const*)"),
        ("_ZN3foo3barEiPKc", Language::Cpp, "foo::bar(int, char const*)"),
        ("-[Foo bar:]", Language::ObjC, "-[Foo bar:]"),
        (
            "$s8mangling12GenericUnionO3FooyACyxGSicAEmlF",
            Language::Swift,
            "$s8mangling12GenericUnionO3FooyACyxGSicAEmlF",
        ),
        ("_Z4main", Language::C, "_Z4main"),
        ("main", Language::C, "main"),
        ("", Language::Cpp, ""),
    ] {
        assert_eq!(super::readable(name, language), expected);
    }
}

#[test]
fn names_of_newer_c_plus_plus_are_read() {
    for (name, expected) in [
        ("_Z4nttpITnDaLi5EEii", "nttp<5>(int)"),
        ("_Z11constrainedITk5SmalliEiT_", "constrained<int>(int)"),
        ("_Z4req2IiEiT_QeqstS0_Li4E", "req2<int>(int) requires sizeof (int) == 4"),
        ("_Z4sfinIiTnN2enIiXgtstT_Li1EEE4typeELi0EEiS1_", "sfin<int, 0>(int)"),
        ("_ZN10längsmaß7größeEi", "längsmaß::größe(int)"),
        ("_ZZ1fvENKUlTyT_E_clIiEEDaS_", "f()::{lambda<typename $T>($T)#1}::operator()<int>($T) const"),
        ("_ZNKUlTyTnT_E0_clIiLi5EEEDav", "{lambda<typename $T, $T $N>()#2}::operator()<int, 5>() const"),
        ("_ZZ1fvENKUlT_E_clIiEEDaS_", "f()::{lambda(auto:1)#1}::operator()<int>(auto:1) const"),
        ("_ZN1AssERKS_", "A::operator<=>(A const&)"),
        ("_ZNH1A1fES_", "A::f(this A)"),
        ("_Z1fIiEvT_Qrqcv_S0_E", "_Z1fIiEvT_Qrqcv_S0_E"),
        ("_Z1fU3AS1Pi", "f(int* AS1)"),
        ("_Z1fDu", "f(char8_t)"),
        ("_Z1fDF16_", "f(_Float16)"),
        ("_Z1fDB7_", "f(_BitInt(7))"),
    ] {
        assert_eq!(readable(name), expected);
    }
}

#[test]
fn what_compilers_make_and_cut_is_said_as_people_know_it() {
    for (name, expected) in [
        ("_ZN3foo3barEi@plt", "foo::bar(int)@plt"),
        ("_ZN3foo3barEi@@V2", "foo::bar(int)@@V2"),
        ("_ZN3foo3barEv.isra.0.cold", "foo::bar() [clone .isra.0] [clone .cold]"),
        ("_ZThn8_N1C1fEv", "non-virtual thunk to C::f()"),
        ("_ZTv0_n24_N1C1fEv", "virtual thunk to C::f()"),
        ("_ZTch0_v0_n24_N1C1fEv", "covariant return thunk to C::f()"),
        ("_ZTV1C", "vtable for C"),
        ("_ZTC1C0_1B", "construction vtable for B-in-C"),
        ("_ZGVZ1fvE1x", "guard variable for f()::x"),
        ("_ZNSsC1Ev", "std::basic_string<char, std::char_traits<char>, std::allocator<char> >::basic_string()"),
        ("_ZN1A1fIiEEPFivEv", "int (*A::f<int>())()"),
        ("_Z1fRA5_i", "f(int (&) [5])"),
        ("_Z1fM1AKFvvE", "f(void (A::*)() const)"),
        ("_Z1fIJidEEvDpT_", "f<int, double>(int, double)"),
        ("_Z1fIJEEvDpT_", "f<>()"),
        ("_ZN1AcvT_IiEEv", "A::operator int<int>()"),
        ("___Z1fv_block_invoke_2", "invocation function for block in f()"),
    ] {
        assert_eq!(readable(name), expected);
    }
}

#[test]
fn names_of_newer_msvc_are_read() {
    for (name, expected) in [
        ("??$nttp@$MH04@@YAHH@Z", "nttp<5>(int)"),
        ("??$nttp@$MW4Color@@00@@YAXXZ", "nttp<1>(void)"),
        ("??__MOps@@QEBAHAEBU0@@Z", "Ops::operator<=>(Ops const&)const"),
        ("??__LOps@@QEBAHXZ", "Ops::operator co_await(void)const"),
        ("??@0123456789abcdef0123456789abcdef@", "??@0123456789abcdef0123456789abcdef@"),
    ] {
        assert_eq!(readable(name).replace(") const", ")const"), expected);
    }
}

#[test]
fn hostile_names_stay_as_they_are() {
    let deep = |start: &str, middle: &str, count: usize| format!("{start}{}", middle.repeat(count));
    for name in [
        deep("_Z1f", "P", 60_000),
        deep("_Z1f", "PK", 30_000),
        deep("_Z1fI", "N1aI", 15_000),
        deep("_Z1fIX", "cv", 15_000),
        deep("_Z", "Z1f", 15_000),
        deep("_Z1f", "UlT_", 15_000),
        deep("?f@@YAX", "PEA", 20_000),
        deep("?", "?0", 30_000),
        deep("??$f@", "$MH", 20_000),
        deep("_RNv", "N", 16_000),
        deep("_RIC1a", "TR", 8_000),
        deep("_Z", "\u{e9}", 30_000),
        deep("_Z1f", "i", 60_000),
        deep("_Z1fS", "_", 60_000),
        deep("_Z1fPi", "PS_", 20_000),
        "_Z99999999999999999999f".to_owned(),
        "_ZL".to_owned(),
    ] {
        assert_eq!(readable(&name), name);
    }
}

#[test]
fn a_name_that_would_be_written_without_end_is_given_up() {
    // Each argument is twice the one before it, which is the substitution two before.
    let digits = |index: usize| {
        if index < 36 {
            format!("S{}_", b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index] as char)
        } else {
            format!("S1{}_", b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[index - 36] as char)
        }
    };
    let mut name = "_Z1f1AIiiE".to_owned();
    for number in 0..30 {
        let back = digits(number * 2);
        name.push_str(&format!("1BI{back}{back}E"));
    }
    assert_eq!(readable(&name), name);
}

#[test]
fn long_names_of_a_real_sort_are_read() {
    let many = (0..2000)
        .map(|number| format!("4n{number:03}").replace("4n", &format!("{}n", 1 + 3.max(number.to_string().len()))));
    let name = format!("_Z1f{}", many.collect::<String>());
    assert!(name.len() > 8 << 10);
    let read = readable(&name);
    assert!(read.starts_with("f(n000, n001, ") && read.ends_with(", n1999)"), "{read}");
}

#[test]
fn the_deepest_names_fit_on_the_stack_that_is_said() {
    const DEEP: usize = 200;
    let name = format!("_Z1f{}i{}", "1aI".repeat(DEEP), "E".repeat(DEEP));
    let read = std::thread::Builder::new().stack_size(STACK).spawn(move || demangle(&name)).expect("a thread");
    assert!(read.join().expect("it fits").is_some_and(|read| read.starts_with("f(a<a<a<")));
}

#[test]
fn broken_names_are_read_or_left_as_they_are() {
    let names = [
        "_ZN4llvm12handleErrorsIJZN5clang20importDefinitionImplINS1_12FunctionDeclEEENS_8ExpectedIPKT_EES9_EUlRKS1_E_EEEvDpOT_",
        "_ZZ1fvENKUlTyT_E_clIiEEDaS_",
        "_ZNK3foo3barIJidEEEDTcl1gspfp_EEDpOT_",
        "_Z4sfinIiTnN2enIiXgtstT_Li1EEE4typeELi0EEiS1_",
        "_Z1fM1AKFvvERA5_iPFivE",
        "??$nttp@$MH04@@YAHH@Z",
        "_RNvMsr_NtCs3ssYzQotkvD_3std4pathNtB5_7PathBuf3new",
    ];
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        usize::try_from(chance >> 33).unwrap_or(0) % below
    };
    for round in 0..20_000 {
        let mut name = names[random(names.len())].as_bytes().to_vec();
        for _ in 0..=random(4) {
            let other = names[random(names.len())].as_bytes();
            let (at, from) = (random(name.len()), random(other.len()));
            match random(4) {
                0 => name[at] = other[from],
                1 => name.insert(at, other[from]),
                2 => drop(name.splice(at..at, other[from..].iter().copied())),
                _ => name.truncate(at.max(4)),
            }
        }
        let name = String::from_utf8_lossy(&name);
        assert_eq!(demangle(&name), demangle(&name), "{round}");
    }
}
