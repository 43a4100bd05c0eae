//! The one owner of stdout and stderr: data goes to stdout, talk and progress to stderr.
//!
//! Colour only where the stream is a terminal and `NO_COLOR` is unset (<https://no-color.org>). A reader that went
//! away (`| head`) ends the output, not the program. Not here: what is said, which is each command's.

use std::env;
use std::io::{self, ErrorKind, IsTerminal as _, Write};

/// Writes for a command.
pub struct Printer {
    out: Stream,
    err: Stream,
    talks_to_terminal: bool,
    /// Lines of the drawing that stands below the talk.
    drawn: usize,
}

/// One stream, and what is known of its reader.
struct Stream {
    writer: Box<dyn Write + Send>,
    colour: bool,
    reader_left: bool,
}

impl Printer {
    /// The process's own stdout and stderr.
    #[must_use]
    pub fn of_process() -> Self {
        let wanted = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            && env::var_os("TERM").is_none_or(|value| value != "dumb");
        Self {
            out: Stream::new(Box::new(io::stdout()), wanted && io::stdout().is_terminal()),
            err: Stream::new(Box::new(io::stderr()), wanted && io::stderr().is_terminal()),
            talks_to_terminal: wanted_terminal(),
            drawn: 0,
        }
    }

    /// Other streams, without colour, as a test has them.
    #[must_use]
    pub fn to_streams(out: impl Write + Send + 'static, err: impl Write + Send + 'static) -> Self {
        Self {
            out: Stream::new(Box::new(out), false),
            err: Stream::new(Box::new(err), false),
            talks_to_terminal: false,
            drawn: 0,
        }
    }

    /// Writes data to stdout, as it is.
    ///
    /// An error means that the data is lost, as on a full disk; a reader that went away is none.
    pub fn data(&mut self, text: &str) -> io::Result<()> {
        self.out.write(text)
    }

    /// Writes a line of talk to stderr. What cannot be said there cannot be said anywhere: no error.
    pub fn talk(&mut self, line: &str) {
        let _ = self.err.write(&format!("{line}\n"));
    }

    /// Writes a question to stderr and leaves the cursor behind it.
    pub fn ask(&mut self, question: &str) {
        let _ = self.err.write(question);
    }

    /// Whether stderr is a terminal that can draw, as [`Self::redraw`] does.
    #[must_use]
    pub fn talks_to_terminal(&self) -> bool {
        self.talks_to_terminal
    }

    /// Replaces the lines that were drawn last; does nothing where stderr is no terminal. Talk goes above a drawing
    /// that was replaced by no lines before. Lines longer than the terminal is wide are cut.
    pub fn redraw(&mut self, lines: &[String]) {
        if !self.talks_to_terminal {
            return;
        }
        let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col));
        let mut text = String::new();
        if self.drawn > 0 {
            // To the start of the first line that was drawn, and erase from there (ECMA-48, CPL and ED).
            text = format!("\u{1b}[{}F\u{1b}[J", self.drawn);
        }
        for line in lines {
            text.extend(line.chars().take(width.max(20) - 1));
            text.push('\n');
        }
        self.drawn = lines.len();
        let _ = self.err.write(&text);
    }

    /// Whether stdout takes colour.
    #[must_use]
    pub fn colours_data(&self) -> bool {
        self.out.colour
    }

    /// Whether stderr takes colour.
    #[must_use]
    pub fn colours_talk(&self) -> bool {
        self.err.colour
    }
}

/// Whether stderr is a terminal that understands control sequences.
fn wanted_terminal() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_some_and(|value| value != "dumb")
}

impl Stream {
    fn new(writer: Box<dyn Write + Send>, colour: bool) -> Self {
        Self { writer, colour, reader_left: false }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.reader_left {
            return Ok(());
        }
        match self.writer.write_all(text.as_bytes()).and_then(|()| self.writer.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.reader_left = true;
                Ok(())
            }
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};

    use super::Printer;

    /// A stream that fails in one way.
    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
        let mut gone = Printer::to_streams(Failing(io::ErrorKind::BrokenPipe), io::sink());
        assert!(gone.data("x").is_ok() && gone.data("y").is_ok());
        let mut full = Printer::to_streams(Failing(io::ErrorKind::StorageFull), io::sink());
        assert!(full.data("x").is_err());
    }
}
