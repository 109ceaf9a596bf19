//! Text from scripts, bundles and servers, made safe to show: terminals obey what is printed on them (AP-31).

/// Removes escape sequences and control characters; tabs stay.
pub fn plain(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                // Control sequence: parameters up to a final byte.
                Some('[') => while chars.next().is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c)) {},
                // A string (title, hyperlink …): up to BEL or ESC \.
                Some(']' | 'P' | 'X' | '^' | '_') => {
                    while let Some(c) = chars.next() {
                        if c == '\u{7}' {
                            break;
                        }
                        if c == '\u{1b}' {
                            chars.next_if_eq(&'\\');
                            break;
                        }
                    }
                }
                // Character sets: one more byte.
                Some('(' | ')' | '*' | '+') => drop(chars.next()),
                _ => {}
            },
            '\t' => clean.push(c),
            c if c.is_control() => {}
            c => clean.push(c),
        }
    }
    clean
}

/// The same for a text of several lines.
pub fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{plain, plain_lines};

    #[test]
    fn colours_and_titles_do_not_reach_the_reader() {
        assert_eq!(
            plain("\u{1b}[1;31mred\u{1b}[0m \u{1b}]0;title\u{7}x\u{1b}]8;;u\u{1b}\\y\tz\u{8}"),
            "red x\u{79}\tz"
        );
        assert_eq!(plain_lines("a\u{1b}[2J\n\u{9b}b\r\n"), "a\nb\n");
    }
}
