//! The first bytes of a data item (RFC 8949, section 3): its type, and its number, length or value.

use super::Error;

/// What follows the head, where that has a length; `None`: until a break.
pub(super) type Length = Option<u64>;

/// The head of a data item.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Head {
    Unsigned(u64),
    /// Stands for -1 - n.
    Negative(u64),
    Bytes(Length),
    Text(Length),
    Array(Length),
    Map(Length),
    Tag(u64),
    Bool(bool),
    /// Null, and `undefined`, which servers read as null.
    Null,
    Float(f64),
    Break,
}

impl Head {
    /// Reads the head that `input` begins with, and its length in bytes. Numbers may be written longer than necessary.
    pub(super) fn read(input: &[u8]) -> Result<(Self, usize), Error> {
        let (&first, rest) = input.split_first().ok_or(Error::Ends)?;
        let (major, info) = (first >> 5, first & 0x1f);
        let width = match info {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            28..=30 => return Err(Error::Invalid("a reserved length")),
            _ => 0,
        };
        let bytes = rest.get(..width).ok_or(Error::Ends)?;
        let argument = match width {
            0 => u64::from(info),
            _ => bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)),
        };
        let length = (info != 31).then_some(argument);
        let head = match (major, length) {
            (0, Some(number)) => Self::Unsigned(number),
            (1, Some(number)) => Self::Negative(number),
            (2, length) => Self::Bytes(length),
            (3, length) => Self::Text(length),
            (4, length) => Self::Array(length),
            (5, length) => Self::Map(length),
            (6, Some(tag)) => Self::Tag(tag),
            (7, None) => Self::Break,
            (7, Some(argument)) => simple_or_float(info, argument)?,
            _ => return Err(Error::Invalid("a number or tag of indefinite length")),
        };
        Ok((head, 1 + width))
    }
}

fn simple_or_float(info: u8, argument: u64) -> Result<Head, Error> {
    Ok(match info {
        20 => Head::Bool(false),
        21 => Head::Bool(true),
        22 | 23 => Head::Null,
        25 => Head::Float(half(argument as u16)),
        26 => Head::Float(f64::from(f32::from_bits(argument as u32))),
        27 => Head::Float(f64::from_bits(argument)),
        _ => return Err(Error::Invalid("an unassigned simple value")),
    })
}

/// A half-precision number.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let magnitude = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Head {
        let (head, length) = Head::read(bytes).expect("a head");
        assert_eq!(length, bytes.len());
        head
    }

    /// The examples of RFC 8949, appendix A.
    #[test]
    fn half_precision_numbers_are_read_exactly() {
        for (bits, number) in [
            (0x0000_u16, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0x3e00, 1.5),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x0400, 0.000_061_035_156_25),
            (0xc400, -4.0),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            let [high, low] = bits.to_be_bytes();
            assert_eq!(read(&[0xf9, high, low]), Head::Float(number), "{bits:#06x}");
        }
        assert!(matches!(read(&[0xf9, 0x7e, 0]), Head::Float(number) if number.is_nan()));
    }

    #[test]
    fn numbers_are_read_in_every_width() {
        for bytes in
            [&[0x17][..], &[0x18, 23], &[0x19, 0, 23], &[0x1a, 0, 0, 0, 23], &[0x1b, 0, 0, 0, 0, 0, 0, 0, 23]]
        {
            assert_eq!(read(bytes), Head::Unsigned(23));
        }
        assert_eq!(read(&[0x3b, 255, 255, 255, 255, 255, 255, 255, 255]), Head::Negative(u64::MAX));
    }

    #[test]
    fn heads_that_mean_nothing_are_refused() {
        for first in [0x1c, 0x1d, 0x1e, 0x1f, 0x3f, 0xdf, 0xe0, 0xf3, 0xfc, 0x7e] {
            assert!(matches!(Head::read(&[first, 0, 0]), Err(Error::Invalid(_))), "{first:#04x}");
        }
        assert!(matches!(Head::read(&[0xf8, 0x20]), Err(Error::Invalid(_))));
        for short in [&[][..], &[0x18], &[0x19, 0], &[0xfb, 0, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(Head::read(short), Err(Error::Ends), "{short:?}");
        }
    }
}
