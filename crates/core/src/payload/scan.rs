//! The one pass over a body that finds its members.

use bytes::Bytes;

use super::{MAX_DEPTH, MAX_MEMBERS, Malformed, Member, Reason, quotes};

/// Where a name is compared with all before it, rather than by sorting at the end.
const FEW: usize = 32;

pub(super) fn object(bytes: &Bytes) -> Result<Vec<Member>, Malformed> {
    if u32::try_from(bytes.len()).is_err() {
        return fail(0, Reason::TooLarge);
    }
    let mut scan = Scan { bytes, at: 0 };
    scan.space();
    match scan.peek() {
        Some(b'{') => scan.at += 1,
        Some(_) => return fail(scan.at, Reason::NotAnObject),
        None => return fail(0, Reason::Empty),
    }
    let mut members: Vec<Member> = Vec::with_capacity(16);
    scan.space();
    if scan.peek() == Some(b'}') {
        scan.at += 1;
    } else {
        loop {
            let member = scan.member()?;
            if members.len() == MAX_MEMBERS {
                return fail(member.start as usize, Reason::TooLarge);
            }
            members.push(member);
            if members.len() <= FEW {
                let (last, before) = members.split_last().map_or((None, &[][..]), |(l, b)| (Some(l), b));
                if let Some(last) =
                    last.filter(|last| before.iter().any(|m| name(bytes, m) == name(bytes, last)))
                {
                    return fail(last.start as usize, duplicate(bytes, last));
                }
            }
            scan.space();
            match scan.peek() {
                Some(b',') => scan.at += 1,
                Some(b'}') => break scan.at += 1,
                Some(_) => return fail(scan.at, Reason::Expected("a comma or a closing brace")),
                None => return fail(scan.at, Reason::Unfinished),
            }
            scan.space();
        }
    }
    scan.space();
    if scan.at < bytes.len() {
        return fail(scan.at, Reason::Trailing);
    }
    if members.len() > FEW {
        let mut order: Vec<usize> = (0..members.len()).collect();
        order.sort_by_key(|i| name(bytes, &members[*i]));
        if let Some(pair) =
            order.windows(2).find(|p| name(bytes, &members[p[0]]) == name(bytes, &members[p[1]]))
        {
            let second = &members[pair[1]];
            return fail(second.start as usize, duplicate(bytes, second));
        }
    }
    Ok(members)
}

fn fail<T>(at: usize, why: Reason) -> Result<T, Malformed> {
    Err(Malformed { at, why })
}

/// The name of a member as it is meant.
pub(super) fn name<'a>(bytes: &'a [u8], member: &'a Member) -> &'a [u8] {
    match &member.decoded {
        Some(decoded) => decoded.as_bytes(),
        None => &bytes[member.name.start as usize..member.name.end as usize],
    }
}

fn duplicate(bytes: &Bytes, member: &Member) -> Reason {
    Reason::Duplicate(String::from_utf8_lossy(name(bytes, member)).into_owned())
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn member(&mut self) -> Result<Member, Malformed> {
        let start = self.at;
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return fail(start, Reason::Expected("the name of a member in double quotes")),
            None => return fail(start, Reason::Unfinished),
        }
        let escaped = self.string()?;
        let name = &self.bytes[start + 1..self.at - 1];
        let decoded = if escaped {
            let text = serde_json::from_slice::<Box<str>>(&self.bytes[start..self.at]);
            Some(text.map_err(|_| Malformed { at: start, why: Reason::BadName })?)
        } else if name.iter().any(|b| *b < 0x20) || std::str::from_utf8(name).is_err() {
            return fail(start, Reason::BadName);
        } else {
            None
        };
        let name = start as u32 + 1..self.at as u32 - 1;
        self.space();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return fail(self.at, Reason::Expected("a colon")),
            None => return fail(self.at, Reason::Unfinished),
        }
        self.space();
        let value = self.at as u32;
        self.value()?;
        Ok(Member { start: start as u32, name, decoded, value: value..self.at as u32 })
    }

    fn value(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{' | b'[') => self.nested(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => fail(self.at, Reason::Expected("a value")),
            None => fail(self.at, Reason::Unfinished),
        }
    }

    /// From an opening quote to behind the closing one; whether there was an escape.
    fn string(&mut self) -> Result<bool, Malformed> {
        let inside = self.at + 1;
        match quotes::closing(self.bytes.get(inside..).unwrap_or_default()) {
            Some((len, escaped)) => {
                self.at = inside + len + 1;
                Ok(escaped)
            }
            None => fail(self.bytes.len(), Reason::Unfinished),
        }
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(word) {
            return fail(self.at, Reason::Expected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let rest = &self.bytes[self.at..];
        let len = rest
            .iter()
            .position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        // Rare at the top level and short, so the real grammar decides.
        if serde_json::from_slice::<serde::de::IgnoredAny>(&rest[..len]).is_err() {
            return fail(self.at, Reason::Expected("a number"));
        }
        self.at += len;
        Ok(())
    }

    /// From an opening bracket to behind its partner.
    fn nested(&mut self) -> Result<(), Malformed> {
        // One bit a level: set for a brace.
        let mut kinds = 0_u128;
        let mut depth = 0;
        loop {
            let Some(byte) = self.peek() else { return fail(self.at, Reason::Unfinished) };
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => {
                    if depth == MAX_DEPTH {
                        return fail(self.at, Reason::TooDeep);
                    }
                    kinds = (kinds << 1) | u128::from(byte == b'{');
                    depth += 1;
                }
                b'}' | b']' => {
                    if (kinds & 1 == 1) != (byte == b'}') {
                        return fail(self.at, Reason::Unbalanced);
                    }
                    kinds >>= 1;
                    depth -= 1;
                    if depth == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}
