//! What is asked: stack traces, the modules of the process, and options, read with limits. It never looks a module up.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::types::{CodeId, DebugId};

/// Frames of a request.
const MAX_FRAMES: usize = 100_000;

/// Modules of a request.
pub const MAX_MODULES: usize = 20_000;

/// Modules that frames of a request may be in.
pub const MAX_MODULES_WITH_FRAMES: usize = 1_000;

/// Lists and maps of a request that are neither: stack traces, registers of threads.
const MAX_THREADS: usize = 100_000;

/// Source lines that a frame may bring on either side.
const MAX_CONTEXT_LINES: usize = 1_000;

thread_local! {
    /// What may still be read of the request that this thread reads: frames, modules.
    static LEFT: [Cell<usize>; 3] = const { [Cell::new(0), Cell::new(0), Cell::new(0)] };
}

/// A request to name the frames of stack traces.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct SymbolicateRequest {
    /// POSIX number of the signal; decides only which address of the innermost frame is looked up.
    #[serde(default)]
    pub signal: Option<u32>,
    /// The stack traces.
    #[serde(default, deserialize_with = "counted_threads")]
    pub stacktraces: Vec<StackTrace>,
    /// The modules of the process, in any order.
    #[serde(default, deserialize_with = "counted_modules")]
    pub modules: Vec<Module>,
    /// Options.
    #[serde(default, deserialize_with = "or_default")]
    pub options: Options,
    /// Whether frames without a name keep the module's name that came with them, instead of the module's path.
    #[serde(skip)]
    pub keep_packages: bool,
}

/// The stack of one thread.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct StackTrace {
    /// Number of the thread.
    #[serde(default)]
    pub thread_id: Option<u64>,
    /// Name of the thread.
    #[serde(default)]
    pub thread_name: Option<String>,
    /// Whether it is the one that crashed.
    #[serde(default)]
    pub is_requesting: Option<bool>,
    /// Registers of its innermost frame.
    #[serde(default)]
    pub registers: Option<BTreeMap<String, Address>>,
    /// Its frames, in the order that the options name.
    #[serde(deserialize_with = "counted_frames")]
    pub frames: Vec<RawFrame>,
    /// Whether further frames were left out.
    #[serde(skip)]
    pub truncated: bool,
}

/// A frame as it was sent, or as walking a stack found it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct RawFrame {
    /// Where the thread is, or will go on.
    pub instruction_addr: Address,
    /// What the address counts from.
    #[serde(default, deserialize_with = "or_default")]
    pub addr_mode: AddrMode,
    /// Whether the address is moved back before it is looked up; decided by rule if absent.
    #[serde(default)]
    pub adjust_instruction_addr: Option<bool>,
    /// Number of a .NET method; the address is then an offset in its IL.
    #[serde(default)]
    pub function_id: Option<Address>,
    /// How the frame was found.
    #[serde(default, deserialize_with = "or_default")]
    pub trust: Trust,
    /// Platform of the frame.
    #[serde(default)]
    pub platform: Option<String>,
    /// Path of its module.
    #[serde(default)]
    pub package: Option<String>,
    /// Language.
    #[serde(default)]
    pub lang: Option<String>,
    /// Mangled name.
    #[serde(default)]
    pub symbol: Option<String>,
    /// Where its function begins.
    #[serde(default)]
    pub sym_addr: Option<Address>,
    /// Readable name.
    #[serde(default)]
    pub function: Option<String>,
    /// Base name of the source file.
    #[serde(default)]
    pub filename: Option<String>,
    /// Path of the source file.
    #[serde(default)]
    pub abs_path: Option<String>,
    /// Line in the source file.
    #[serde(default)]
    pub lineno: Option<u32>,
    /// Lines before it.
    #[serde(default, deserialize_with = "context_lines")]
    pub pre_context: Vec<String>,
    /// The line itself.
    #[serde(default)]
    pub context_line: Option<String>,
    /// Lines behind it.
    #[serde(default, deserialize_with = "context_lines")]
    pub post_context: Vec<String>,
    /// Whether it is the application's own; echoed.
    #[serde(default)]
    pub in_app: Option<bool>,
}

/// A module of the process.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Module {
    /// `elf`, `macho`, `pe`, `pe_dotnet`, `wasm`, or another word.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Debug id; one that cannot be read counts as absent.
    #[serde(default, deserialize_with = "readable_debug_id")]
    pub debug_id: Option<DebugId>,
    /// Code id.
    #[serde(default, deserialize_with = "readable_code_id")]
    pub code_id: Option<CodeId>,
    /// Path of the debug file.
    #[serde(default)]
    pub debug_file: Option<String>,
    /// Path of the module.
    #[serde(default)]
    pub code_file: Option<String>,
    /// Where it is loaded.
    #[serde(default, deserialize_with = "or_default")]
    pub image_addr: Address,
    /// How many bytes it has there; up to the next module if absent or 0.
    #[serde(default)]
    pub image_size: Option<Address>,
}

/// Options of a request.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Whether each module lists the files that could have served it.
    #[serde(deserialize_with = "or_default")]
    pub dif_candidates: bool,
    /// Whether frames get lines of their source.
    #[serde(deserialize_with = "or_true")]
    pub apply_source_context: bool,
    /// Order of frames in the request and the response.
    #[serde(deserialize_with = "or_default")]
    pub frame_order: FrameOrder,
}

impl Default for Options {
    fn default() -> Self {
        Self { dif_candidates: false, apply_source_context: true, frame_order: FrameOrder::CalleeFirst }
    }
}

/// Order of frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameOrder {
    /// Innermost first.
    #[default]
    CalleeFirst,
    /// Innermost last.
    CallerFirst,
}

/// How a frame was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trust {
    /// Unknown.
    #[default]
    None,
    /// A word on the stack that looks like an address of code.
    Scan,
    /// Such a word, confirmed by call frame information.
    CfiScan,
    /// The frame pointer.
    Fp,
    /// Call frame information.
    Cfi,
    /// The client walked the stack.
    Prewalked,
    /// The registers of the thread.
    Context,
}

impl Trust {
    /// The word on the wire; `None` for the one that is left out.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Scan => Some("scan"),
            Self::CfiScan => Some("cfiscan"),
            Self::Fp => Some("fp"),
            Self::Cfi => Some("cfi"),
            Self::Prewalked => Some("prewalked"),
            Self::Context => Some("context"),
        }
    }
}

/// What an address counts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddrMode {
    /// From the beginning of memory.
    #[default]
    Absolute,
    /// From the beginning of the module with this index.
    Relative(usize),
}

/// An address: `"0x…"`, decimal text, or a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub u64);

impl SymbolicateRequest {
    /// Reads a body, or says in a sentence what is wrong with it. The work and the memory grow with the body alone, so a
    /// large one is read where blocking is allowed.
    pub fn read(body: &[u8]) -> Result<Self, String> {
        read_limited(body)
    }

    /// Index of the module of `AddrMode::Relative`, if there is one.
    pub fn relative_module(&self, mode: AddrMode) -> Option<usize> {
        match mode {
            AddrMode::Relative(index) if index < self.modules.len() => Some(index),
            _ => None,
        }
    }
}

/// Reads JSON with a fresh count of frames, modules and threads.
pub(super) fn read_limited<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    LEFT.with(|left| {
        for (left, most) in left.iter().zip([MAX_FRAMES, MAX_MODULES, MAX_THREADS]) {
            left.set(most);
        }
    });
    let form = |error: &dyn fmt::Display| format!("The body cannot be read as JSON of the right form: {error}.");
    // Lists of the values of fields would be taken, too.
    match body.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice(body).map_err(|error| form(&error)),
        _ => Err(form(&"it is no object")),
    }
}

impl Module {
    /// Its bytes; `None` if it ends where the next module begins.
    pub fn size(&self) -> Option<u64> {
        self.image_size.map(|size| size.0).filter(|size| *size > 0)
    }

    /// Whether it is managed code, whose frames are methods and offsets in their IL.
    pub fn is_dotnet(&self) -> bool {
        self.kind.as_deref() == Some("pe_dotnet")
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AddressVisitor;

        impl Visitor<'_> for AddressVisitor {
            type Value = Address;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as \"0x7f00\", from 0 to 2^64 - 1")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Address, E> {
                Ok(Address(number))
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Address, E> {
                let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
                let number = match digits {
                    // A sign would be taken, too.
                    Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
                    None if !text.starts_with('+') => text.parse().ok(),
                    _ => None,
                };
                number.map(Address).ok_or_else(|| E::custom("an address is \"0x…\", decimal text or a number"))
            }
        }

        deserializer.deserialize_any(AddressVisitor)
    }
}

impl<'de> Deserialize<'de> for AddrMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "abs" {
            return Ok(Self::Absolute);
        }
        let index = text.strip_prefix("rel:").filter(|digits| !digits.starts_with('+'));
        let index = index.and_then(|digits| digits.parse().ok());
        index.map(Self::Relative).ok_or_else(|| D::Error::custom("`addr_mode` is \"abs\" or \"rel:\" and a number"))
    }
}

/// A value, or its default where it is null.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn or_true<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(true))
}

fn readable_debug_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DebugId>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.and_then(|text| text.parse().ok()).filter(|id: &DebugId| !id.is_nil()))
}

fn readable_code_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<CodeId>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    Ok(text.map(|text| CodeId::new(&text)).filter(|id| !id.as_str().is_empty()))
}

fn counted_frames<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<RawFrame>, D::Error> {
    deserializer.deserialize_seq(Counted { which: 0, what: "frames", of: PhantomData })
}

fn counted_modules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Module>, D::Error> {
    deserializer.deserialize_any(Counted { which: 1, what: "modules", of: PhantomData })
}

fn counted_threads<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StackTrace>, D::Error> {
    deserializer.deserialize_any(Counted { which: 2, what: "stack traces", of: PhantomData })
}

/// Lines of source that were sent with a frame.
fn context_lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let mut lines: Vec<String> = or_default(deserializer)?;
    lines.truncate(MAX_CONTEXT_LINES);
    Ok(lines)
}

/// A list of which a request may have so many in all.
struct Counted<T> {
    which: usize,
    what: &'static str,
    of: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Counted<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of {}", self.what)
    }

    fn visit_unit<E>(self) -> Result<Vec<T>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut read = Vec::new();
        while let Some(one) = list.next_element()? {
            let left = LEFT.with(|left| left[self.which].get());
            if left == 0 {
                return Err(A::Error::custom(format!("the request has too many {}", self.what)));
            }
            LEFT.with(|counts| counts[self.which].set(left - 1));
            read.push(one);
        }
        Ok(read)
    }
}
