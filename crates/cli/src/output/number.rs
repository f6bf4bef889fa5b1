//! Numbers as people read them. The minus is the sign U+2212.

/// `44700` → `44,700`.
pub(crate) fn count(n: i64) -> String {
    let digits = grouped(&n.unsigned_abs().to_string());
    if n < 0 { format!("−{digits}") } else { digits }
}

/// `6349.144` → `6,349.14`.
pub(crate) fn number(x: f64) -> String {
    let text = format!("{:.2}", x.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "00"));
    let minus = if x < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
        "−"
    } else {
        ""
    };
    format!("{minus}{}.{fraction}", grouped(whole))
}

/// `0.19020` → `19.02 %`.
pub(crate) fn rate(x: f64) -> String {
    format!("{} %", number(100.0 * x))
}

/// A number with its sign: `1794.34` → `+1,794.34`.
pub(crate) fn signed(x: f64) -> String {
    let text = number(x);
    if x > 0.0 { format!("+{text}") } else { text }
}

/// A relative lift with its sign, to one decimal: `-0.0431` → `−4.3 %`.
pub(crate) fn lift(x: f64) -> String {
    let percent = 100.0 * x;
    let text = format!("{:.1}", percent.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, "0"));
    let sign = match percent {
        p if p > 0.0 => "+",
        p if p < 0.0 => "−",
        _ => "",
    };
    format!("{sign}{}.{fraction} %", grouped(whole))
}

/// A p-value to three significant digits: `0.00155`, `0.0744`, `< 0.0001`.
pub(crate) fn p_value(p: f64) -> String {
    if p < 0.0001 {
        return "< 0.0001".to_owned();
    }
    let mut decimals = 2;
    let mut bound = 0.9995;
    while p < bound && decimals < 7 {
        decimals += 1;
        bound /= 10.0;
    }
    format!("{p:.decimals$}")
}

/// The probability of being best: never certain.
pub(crate) fn probability(p: f64) -> String {
    match p {
        p if p > 0.999 => "> 99.9 %".to_owned(),
        p if p < 0.001 => "< 0.1 %".to_owned(),
        p => format!("{:.1} %", 100.0 * p),
    }
}

/// A share in ten-thousandths: `3300` → `33%`, as it is written in files and flags.
pub(crate) fn share(ten_thousandths: u32) -> String {
    let (percent, rest) = (ten_thousandths / 100, ten_thousandths % 100);
    match rest {
        0 => format!("{percent}%"),
        rest if rest % 10 == 0 => format!("{percent}.{}%", rest / 10),
        rest => format!("{percent}.{rest:02}%"),
    }
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(-1_000), "−1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(number(6_349.144), "6,349.14");
        assert_eq!(number(-0.001), "0.00");
        assert_eq!(number(-12.5), "−12.50");
    }

    #[test]
    fn rates_lifts_and_differences_have_their_signs() {
        assert_eq!(rate(0.190_2), "19.02 %");
        assert_eq!(lift(-0.0431), "−4.3 %");
        assert_eq!(lift(0.394), "+39.4 %");
        assert_eq!(lift(0.0), "0.0 %");
        assert_eq!(signed(1_794.342), "+1,794.34");
        assert_eq!(signed(-0.82), "−0.82");
    }

    #[test]
    fn p_values_have_three_significant_digits() {
        let cases = [
            (0.001_553, "0.00155"),
            (0.0744, "0.0744"),
            (0.008_608, "0.00861"),
            (0.5, "0.500"),
            (0.999_6, "1.00"),
            (1.0, "1.00"),
            (0.000_1, "0.000100"),
            (0.000_099, "< 0.0001"),
            (0.0, "< 0.0001"),
            (0.099_97, "0.100"),
        ];
        for (p, text) in cases {
            assert_eq!(p_value(p), text);
        }
    }

    #[test]
    fn nothing_is_certain() {
        assert_eq!(probability(1.0), "> 99.9 %");
        assert_eq!(probability(0.999), "99.9 %");
        assert_eq!(probability(0.000_5), "< 0.1 %");
        assert_eq!(probability(0.5), "50.0 %");
    }

    #[test]
    fn shares_are_written_as_they_are_read() {
        assert_eq!(share(3_300), "33%");
        assert_eq!(share(3_334), "33.34%");
        assert_eq!(share(1_250), "12.5%");
        assert_eq!(share(1_205), "12.05%");
    }
}
