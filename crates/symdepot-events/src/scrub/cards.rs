//! Card numbers within texts: 13 to 19 digits, single blanks or hyphens between them, with the checksum of Luhn and 3 to 6 as the
//! first digit.
//!
//! It never takes a part of a longer run of digits, and takes time in proportion to the text.

use super::FILTERED;

/// Fewest and most digits.
const MIN_DIGITS: usize = 13;
const MAX_DIGITS: usize = 19;

/// The text with card numbers replaced; `None` if it has none.
pub fn scrubbed(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.iter().filter(|byte| byte.is_ascii_digit()).count() < MIN_DIGITS {
        return None;
    }
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        let is_start = bytes[at].is_ascii_digit() && (at == 0 || !bytes[at - 1].is_ascii_digit());
        match if is_start { card_end(&bytes[at..]) } else { None } {
            Some(length) => {
                out.push_str(&text[copied..at]);
                out.push_str(FILTERED);
                at += length;
                copied = at;
            }
            None => at += 1,
        }
    }
    (copied > 0).then(|| out + &text[copied..])
}

/// The length of the longest card number at the beginning.
fn card_end(bytes: &[u8]) -> Option<usize> {
    if !matches!(bytes.first(), Some(b'3'..=b'6')) {
        return None;
    }
    // Sums for an odd and for an even number of digits: the last digit counts once, the one before it twice.
    let (mut sums, mut digits, mut found) = ([0_u32; 2], 0, None);
    for (at, byte) in bytes.iter().enumerate().take(2 * MAX_DIGITS) {
        if byte.is_ascii_digit() {
            if digits == MAX_DIGITS {
                break;
            }
            let digit = u32::from(byte - b'0');
            sums[digits % 2] += if digit > 4 { 2 * digit - 9 } else { 2 * digit };
            sums[(digits + 1) % 2] += digit;
            digits += 1;
            let is_end = !bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
            if is_end && digits >= MIN_DIGITS && sums[digits % 2] % 10 == 0 {
                found = Some(at + 1);
            }
        } else if !matches!(byte, b' ' | b'-') || !bytes.get(at + 1).is_some_and(u8::is_ascii_digit) {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_replaced() {
        for (text, expected) in [
            ("4111111111111111", Some("[Filtered]")),
            ("x4111 1111 1111 1111.", Some("x[Filtered].")),
            ("5500-0000-0000-0004", Some("[Filtered]")),
            ("340000000000009 and 6011000000000004", Some("[Filtered] and [Filtered]")),
            ("4111111111111111 5500000000000004", Some("[Filtered] [Filtered]")),
            ("call 3 4111111111111111", Some("call 3 [Filtered]")),
            ("ä4222222222222ö", Some("ä[Filtered]ö")),
            ("6304000000000000000 x", Some("[Filtered] x")),
            ("4111111111111112", None),
            ("41111111111111110", None),
            ("14111111111111111", None),
            ("4111  1111 1111 1111", None),
            ("2223003122003222", None),
            ("411111111111", None),
            ("", None),
        ] {
            assert_eq!(scrubbed(text).as_deref(), expected, "{text}");
        }
    }
}
