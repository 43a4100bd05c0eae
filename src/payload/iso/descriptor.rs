//! Volume descriptors (ECMA-119 section 8; Joliet's is the supplementary one) and path tables (section 9.4).

use super::record::{Date, both_u16, both_u32, root_record};
use super::{Place, SECTOR};

/// Bytes of a path table that holds the root folder alone.
const PATH_TABLE_BYTES: u32 = 10;

/// What all descriptors of a volume say.
pub(super) struct Volume<'a> {
    pub(super) label: &'a str,
    pub(super) date: Date,
    pub(super) sectors: u32,
}

/// Sectors of a tree's path tables.
#[derive(Clone, Copy)]
pub(super) struct Tables {
    pub(super) little: u32,
    pub(super) big: u32,
}

/// How a descriptor writes its texts.
#[derive(Clone, Copy)]
enum Text {
    Ascii,
    Ucs2,
}

impl Text {
    /// The text padded with spaces to `length` bytes.
    fn field(self, text: &str, length: usize) -> Vec<u8> {
        match self {
            Self::Ascii => {
                let mut bytes = text.as_bytes().to_vec();
                bytes.resize(length, b' ');
                bytes
            }
            Self::Ucs2 => {
                let spaces = std::iter::repeat(u16::from(b' '));
                let units = text.encode_utf16().chain(spaces).take(length / 2);
                let mut bytes: Vec<u8> = units.flat_map(u16::to_be_bytes).collect();
                // A field of odd length ends in a zero byte (Joliet specification, "identifier fields").
                bytes.resize(length, 0);
                bytes
            }
        }
    }
}

/// The primary volume descriptor.
pub(super) fn primary(volume: &Volume<'_>, tables: Tables, root: Place) -> Vec<u8> {
    common(1, Text::Ascii, &[], volume, tables, root)
}

/// Joliet's supplementary volume descriptor; the escape sequence says UCS-2 level 3.
pub(super) fn joliet(volume: &Volume<'_>, tables: Tables, root: Place) -> Vec<u8> {
    common(2, Text::Ucs2, b"%/E", volume, tables, root)
}

/// The descriptor that ends the set.
pub(super) fn terminator() -> Vec<u8> {
    let mut sector = vec![255];
    sector.extend(b"CD001\x01");
    sector.resize(SECTOR, 0);
    sector
}

fn common(kind: u8, text: Text, escapes: &[u8], volume: &Volume<'_>, tables: Tables, root: Place) -> Vec<u8> {
    let mut sector = vec![kind];
    sector.extend(b"CD001\x01");
    sector.push(0);
    sector.extend(text.field("", 32)); // system
    sector.extend(text.field(volume.label, 32));
    sector.extend([0; 8]);
    sector.extend(both_u32(volume.sectors));
    let mut escape_field = escapes.to_vec();
    escape_field.resize(32, 0);
    sector.extend(escape_field);
    sector.extend(both_u16(1)); // volumes in the set
    sector.extend(both_u16(1)); // this one's number
    sector.extend(both_u16(2048)); // bytes in a logical block
    sector.extend(both_u32(PATH_TABLE_BYTES));
    sector.extend(tables.little.to_le_bytes());
    sector.extend([0; 4]);
    sector.extend(tables.big.to_be_bytes());
    sector.extend([0; 4]);
    sector.extend(root_record(root, volume.date));
    sector.extend(text.field("", 128)); // volume set
    sector.extend(text.field("", 128)); // publisher
    sector.extend(text.field("", 128)); // preparer
    sector.extend(text.field("MESHBOOT", 128)); // application
    for _ in 0..3 {
        sector.extend(text.field("", 37)); // copyright, abstract and bibliographic files
    }
    sector.extend(volume.date.long()); // made
    sector.extend(volume.date.long()); // changed
    sector.extend(no_date()); // expires
    sector.extend(no_date()); // effective from
    sector.push(1); // version of the folder records
    sector.resize(SECTOR, 0);
    sector
}

/// A date that is not given (ECMA-119 section 8.4.26.1): sixteen zero digits and a zero byte.
fn no_date() -> [u8; 17] {
    let mut bytes = [b'0'; 17];
    bytes[16] = 0;
    bytes
}

/// Path table with the root folder alone, little endian.
pub(super) fn path_table_little(root: Place) -> Vec<u8> {
    path_table(root.sector.to_le_bytes(), 1_u16.to_le_bytes())
}

/// Path table with the root folder alone, big endian.
pub(super) fn path_table_big(root: Place) -> Vec<u8> {
    path_table(root.sector.to_be_bytes(), 1_u16.to_be_bytes())
}

fn path_table(sector: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    let mut table = vec![1, 0];
    table.extend(sector);
    table.extend(parent);
    table.extend([0, 0]); // the root's one-byte name, and a byte that makes the length even
    table.resize(SECTOR, 0);
    table
}
