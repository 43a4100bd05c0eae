//! Directory records: ECMA-119 section 9.1, with Rock Ridge (IEEE P1282 draft 1.12) in the primary tree and UCS-2
//! names in the Joliet one.

use super::{IsoFile, Layout, Place, SECTOR};

/// Day and time in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

impl Date {
    /// From seconds since 1970. What lies past the year 2155, the last that a record can hold, becomes 1970.
    pub(super) fn from_unix(seconds: u64) -> Self {
        let epoch = Self { year: 1970, month: 1, day: 1, hour: 0, minute: 0, second: 0 };
        let Some(time) = i64::try_from(seconds).ok().and_then(|s| jiff::Timestamp::from_second(s).ok())
        else {
            return epoch;
        };
        let time = time.to_zoned(jiff::tz::TimeZone::UTC);
        let narrow = |number: i8| u8::try_from(number).unwrap_or(0);
        match u16::try_from(time.year()) {
            Ok(year) if year <= 2155 => Self {
                year,
                month: narrow(time.month()),
                day: narrow(time.day()),
                hour: narrow(time.hour()),
                minute: narrow(time.minute()),
                second: narrow(time.second()),
            },
            _ => epoch,
        }
    }

    /// Seven bytes (ECMA-119 section 9.1.5); the last is the offset from UTC.
    pub(super) fn short(self) -> [u8; 7] {
        let since_1900 = u8::try_from(self.year - 1900).unwrap_or(70);
        [since_1900, self.month, self.day, self.hour, self.minute, self.second, 0]
    }

    /// Seventeen bytes (ECMA-119 section 8.4.26.1): sixteen digits and the offset from UTC.
    pub(super) fn long(self) -> [u8; 17] {
        let text = format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}00",
            self.year, self.month, self.day, self.hour, self.minute, self.second
        );
        let mut bytes = [0; 17];
        bytes[..16].copy_from_slice(text.as_bytes());
        bytes
    }
}

/// A file's names for the three readers.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// As given, for Rock Ridge.
    pub(super) real: String,
    /// Upper case with version, as in `USER_DATA.;1`.
    pub(super) iso: String,
    /// UCS-2, big endian.
    pub(super) joliet: Vec<u8>,
}

impl Names {
    pub(super) fn new(name: &str) -> Result<Self, &'static str> {
        if name.is_empty() || name.starts_with('.') {
            return Err("it is empty or starts with a dot");
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if !name.bytes().all(plain) {
            return Err("only letters, digits, `-`, `_` and dots are possible");
        }
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        let mangle = |part: &str| part.to_ascii_uppercase().replace(['-', '.'], "_");
        let iso = format!("{}.{};1", mangle(stem), mangle(extension));
        // 31 without the version at interchange level 2 (ECMA-119 section 7.5.1), 64 in Joliet.
        if iso.len() - 2 > 31 {
            return Err("it is longer than 31 characters");
        }
        let joliet = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
        Ok(Self { real: name.to_owned(), iso, joliet })
    }
}

/// The primary tree's root folder, whole sectors.
pub(super) fn primary_folder(names: &[Names], files: &[IsoFile<'_>], layout: &Layout, date: Date) -> Vec<u8> {
    let here = layout.primary;
    let mut folder = Folder::default();
    let own = [rock_ridge_start(), posix(0o040_555, 2), rock_ridge_name_of_extension()].concat();
    folder.push(&record(here, true, &[0], date, &own));
    folder.push(&record(here, true, &[1], date, &posix(0o040_555, 2)));
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| names[a].iso.cmp(&names[b].iso));
    for index in order {
        let name = &names[index];
        let system_use =
            [posix(0o100_000 | (files[index].mode & 0o777), 1), alternate_name(&name.real)].concat();
        folder.push(&record(layout.files[index], false, name.iso.as_bytes(), date, &system_use));
    }
    folder.finish()
}

/// The Joliet tree's root folder, whole sectors.
pub(super) fn joliet_folder(names: &[Names], layout: &Layout, date: Date) -> Vec<u8> {
    let here = layout.joliet;
    let mut folder = Folder::default();
    folder.push(&record(here, true, &[0], date, &[]));
    folder.push(&record(here, true, &[1], date, &[]));
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by(|&a, &b| names[a].joliet.cmp(&names[b].joliet));
    for index in order {
        folder.push(&record(layout.files[index], false, &names[index].joliet, date, &[]));
    }
    folder.finish()
}

/// The record of a root folder that stands inside a volume descriptor: 34 bytes.
pub(super) fn root_record(place: Place, date: Date) -> Vec<u8> {
    record(place, true, &[0], date, &[])
}

/// Records, none of which crosses a sector's end (ECMA-119 section 6.8.1.1).
#[derive(Default)]
struct Folder(Vec<u8>);

impl Folder {
    fn push(&mut self, record: &[u8]) {
        let left = SECTOR - self.0.len() % SECTOR;
        if record.len() > left {
            self.0.resize(self.0.len() + left, 0);
        }
        self.0.extend_from_slice(record);
    }

    fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len().next_multiple_of(SECTOR), 0);
        self.0
    }
}

fn record(place: Place, folder: bool, identifier: &[u8], date: Date, system_use: &[u8]) -> Vec<u8> {
    let mut record = vec![0, 0];
    record.extend(both_u32(place.sector));
    record.extend(both_u32(place.bytes));
    record.extend(date.short());
    record.push(if folder { 0b10 } else { 0 });
    record.extend([0, 0]);
    record.extend(both_u16(1));
    record.push(byte(identifier.len()));
    record.extend(identifier);
    if identifier.len().is_multiple_of(2) {
        record.push(0);
    }
    record.extend(system_use);
    if !record.len().is_multiple_of(2) {
        record.push(0);
    }
    record[0] = byte(record.len());
    record
}

/// SUSP `SP`: the extension fields begin at byte 0 of a record's system use area.
fn rock_ridge_start() -> Vec<u8> {
    vec![b'S', b'P', 7, 1, 0xbe, 0xef, 0]
}

/// SUSP `ER` without the two free texts, so that it needs no continuation area.
fn rock_ridge_name_of_extension() -> Vec<u8> {
    let identifier = b"RRIP_1991A";
    let mut entry = vec![b'E', b'R', byte(8 + identifier.len()), 1, byte(identifier.len()), 0, 0, 1];
    entry.extend(identifier);
    entry
}

/// Rock Ridge `PX`: mode and links; owner and group are root.
fn posix(mode: u32, links: u32) -> Vec<u8> {
    let mut entry = vec![b'P', b'X', 36, 1];
    for number in [mode, links, 0, 0] {
        entry.extend(both_u32(number));
    }
    entry
}

/// Rock Ridge `NM`: the real name.
fn alternate_name(name: &str) -> Vec<u8> {
    let mut entry = vec![b'N', b'M', byte(5 + name.len()), 1, 0];
    entry.extend(name.as_bytes());
    entry
}

/// A length that the name rules keep below 256.
fn byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

/// A number in both byte orders (ECMA-119 section 7.3.3).
pub(super) fn both_u32(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A number in both byte orders (ECMA-119 section 7.2.3).
pub(super) fn both_u16(number: u16) -> [u8; 4] {
    let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
    [little[0], little[1], big[0], big[1]]
}
