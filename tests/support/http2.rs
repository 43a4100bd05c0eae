//! As much of an HTTP/2 client as a WebSocket needs (RFC 9113, RFC 8441): `curl` does the rest.
//!
//! Header fields are written as literals without indexing (RFC 7541 section 6.2.2), so no table is kept; of an
//! answer's fields only a `:status` of the static table is understood.

use std::io::{self, Read, Write};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;
const RESET: u8 = 3;
const END_HEADERS: u8 = 4;
const ACKNOWLEDGED: u8 = 1;
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// Opens a WebSocket on stream 1, sends `payload` in it, and returns as many bytes as come back.
pub(crate) fn extended_connect(
    connection: &mut (impl Read + Write),
    authority: &str,
    path: &str,
    payload: &[u8],
) -> io::Result<Vec<u8>> {
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    write_frame(connection, SETTINGS, 0, 0, &[])?;
    wait_for_settings(connection)?;
    let mut fields = Vec::new();
    for (name, value) in [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", path),
        (":authority", authority),
        ("sec-websocket-version", "13"),
    ] {
        fields.push(0);
        for text in [name, value] {
            fields.push(u8::try_from(text.len()).expect("short texts"));
            fields.extend(text.bytes());
        }
    }
    write_frame(connection, HEADERS, END_HEADERS, 1, &fields)?;
    let mut opened = false;
    let mut back = Vec::new();
    while back.len() < payload.len() {
        let (kind, flags, body) = read_frame(connection)?;
        match kind {
            // 0x88 is `:status 200` (RFC 7541, appendix A).
            HEADERS if body.first() == Some(&0x88) && !opened => {
                opened = true;
                write_frame(connection, DATA, 0, 1, payload)?;
            }
            HEADERS => return Err(other(format!("an answer other than 200: {body:02x?}"))),
            DATA => back.extend(body),
            SETTINGS if flags & ACKNOWLEDGED == 0 => write_frame(connection, SETTINGS, ACKNOWLEDGED, 0, &[])?,
            GO_AWAY | RESET => return Err(other(format!("refused: frame {kind}: {body:02x?}"))),
            _ => {}
        }
    }
    Ok(back)
}

/// Waits until the server says that it knows extended CONNECT.
fn wait_for_settings(connection: &mut (impl Read + Write)) -> io::Result<()> {
    loop {
        let (kind, flags, body) = read_frame(connection)?;
        if kind == SETTINGS && flags & ACKNOWLEDGED == 0 {
            write_frame(connection, SETTINGS, ACKNOWLEDGED, 0, &[])?;
            let known = body.chunks(6).any(|setting| {
                setting[..2] == ENABLE_CONNECT_PROTOCOL.to_be_bytes() && setting[2..] == [0, 0, 0, 1]
            });
            return if known {
                Ok(())
            } else {
                Err(other("no extended CONNECT in the server's settings".to_owned()))
            };
        }
    }
}

fn write_frame(connection: &mut impl Write, kind: u8, flags: u8, stream: u32, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(body.len()).expect("short frames").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(body);
    connection.write_all(&frame)?;
    connection.flush()
}

fn read_frame(connection: &mut impl Read) -> io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    connection.read_exact(&mut head)?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut body = vec![0; usize::try_from(length).expect("24 bits fit")];
    connection.read_exact(&mut body)?;
    Ok((head[3], head[4], body))
}

fn other(text: String) -> io::Error {
    io::Error::other(text)
}
