//! Wire names to Rust names.

/// Words that Rust reserves and that may therefore not stand alone as a member's name.
const RESERVED: [&str; 52] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let", "loop",
    "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return", "self", "static",
    "struct", "super", "trait", "true", "try", "type", "typeof", "union", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];

/// The words of a wire name: `gitHubLocation` -> git, hub, location; `ECSTaskSet` -> ecs, task, set;
/// `NO_EC2_SUBSCRIPTION` -> no, ec2, subscription; `ec2TagSet` -> ec2, tag, set.
pub(crate) fn words(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for (at, &letter) in letters.iter().enumerate() {
        if !letter.is_ascii_alphanumeric() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        let before = at.checked_sub(1).map(|at| letters[at]);
        let after = letters.get(at + 1);
        let starts = letter.is_ascii_uppercase()
            && (before.is_some_and(|before| before.is_ascii_lowercase() || before.is_ascii_digit())
                || before.is_some_and(|before| before.is_ascii_uppercase())
                    && after.is_some_and(char::is_ascii_lowercase));
        // The digit of EC2 and S3 belongs to the capitals around it: only a new lower-case word ends it.
        let inside_acronym = before.is_some_and(|before| before.is_ascii_digit())
            && !after.is_some_and(char::is_ascii_lowercase);
        if starts && !inside_acronym && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        word.push(letter.to_ascii_lowercase());
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// A member's or method's name.
pub(crate) fn snake(name: &str) -> String {
    let name = words(name).join("_");
    match name.as_str() {
        // These four cannot be raw identifiers.
        "self" | "super" | "crate" => format!("{name}_"),
        word if RESERVED.contains(&word) => format!("r#{name}"),
        _ => name,
    }
}

/// A constant's name.
pub(crate) fn constant(name: &str) -> String {
    words(name).join("_").to_ascii_uppercase()
}

/// An enum variant's name.
pub(crate) fn pascal(name: &str) -> String {
    let mut out = String::new();
    for word in words(name) {
        let (first, rest) = word.split_at(1);
        out.push_str(&first.to_ascii_uppercase());
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_names_become_rust_names() {
        for (wire, expected) in [
            ("applicationName", "application_name"),
            ("eTag", "e_tag"),
            ("ec2TagSet", "ec2_tag_set"),
            ("s3KeyPrefix", "s3_key_prefix"),
            ("Key", "key"),
            ("type", "r#type"),
            ("Type", "r#type"),
            ("elbInfoList", "elb_info_list"),
            ("DeploymentExecutionId", "deployment_execution_id"),
            ("ListGitHubAccountTokenNames", "list_git_hub_account_token_names"),
            ("self", "self_"),
        ] {
            assert_eq!(snake(wire), expected);
        }
        for (wire, expected) in [
            ("ALARM_ACTIVE", "AlarmActive"),
            ("NO_EC2_SUBSCRIPTION", "NoEc2Subscription"),
            ("tgz", "Tgz"),
            ("AZRebalance", "AzRebalance"),
            ("ECSTarget", "EcsTarget"),
            ("S3", "S3"),
        ] {
            assert_eq!(pascal(wire), expected);
        }
        assert_eq!(constant("AutoScalingGroupProcess"), "AUTO_SCALING_GROUP_PROCESS");
    }
}
