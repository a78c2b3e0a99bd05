//! A minimal server for the same dialogue: one thread that reads, answers and writes. It checks
//! nothing and accepts only unfragmented text messages. Its cost is that of the system calls, a
//! lower bound for every server that makes them for each message.

#![expect(clippy::print_stdout, reason = "it is a benchmark program")]

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
};

use anyhow::Result;
use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};
use proto::message::CONGRATULATION;

const SWITCHING_PROTOCOLS: &str = "HTTP/1.1 101 Switching Protocols\r\n\
                                   Upgrade: websocket\r\n\
                                   Connection: Upgrade\r\n\
                                   Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const PREFIX: &[u8] = b"your submit context: ";

const LISTENER: Token = Token(0);

fn main() -> Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind("127.0.0.1:0".parse()?)?;
    println!("listening on ws://{}", listener.local_addr()?);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connections = HashMap::new();
    let mut last = LISTENER.0;
    let mut memory = vec![0; 256 * 1024];
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    last += 1;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, Token(last), both)?;
                    connections.insert(Token(last), Connection::new(stream));
                }
            } else if let Some(connection) = connections.get_mut(&event.token())
                && connection.serve(&mut memory).is_err()
            {
                connections.remove(&event.token());
            }
        }
    }
}

struct Connection {
    stream: TcpStream,
    stage: Stage,
    input: Vec<u8>,
    output: Vec<u8>,
}

enum Stage {
    Handshake,
    Login,
    Echo,
    Closing,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            stage: Stage::Handshake,
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Reads, answers and writes until a call would block.
    fn serve(&mut self, memory: &mut [u8]) -> io::Result<()> {
        loop {
            if !self.write()? {
                return Ok(());
            }
            if let Stage::Closing = self.stage {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match self.stream.read(memory) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.take(&mut memory[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes the pending output. Returns whether all of it was written.
    fn write(&mut self) -> io::Result<bool> {
        let mut written = 0;
        while written < self.output.len() {
            match self.stream.write(&self.output[written..]) {
                Ok(some) => written += some,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.output.drain(..written);
        Ok(self.output.is_empty())
    }

    /// Answers the complete frames of the input and keeps the rest.
    fn take(&mut self, piece: &mut [u8]) {
        if self.input.is_empty() {
            let answered = self.answer(piece);
            self.input.extend_from_slice(&piece[answered..]);
        } else {
            let mut input = std::mem::take(&mut self.input);
            input.extend_from_slice(piece);
            let answered = self.answer(&mut input);
            input.drain(..answered);
            self.input = input;
        }
    }

    /// Answers the complete frames. Returns their length in bytes.
    fn answer(&mut self, mut bytes: &mut [u8]) -> usize {
        let all = bytes.len();
        while let Some(len) = self.answer_first(bytes) {
            bytes = &mut bytes[len..];
        }
        all - bytes.len()
    }

    fn answer_first(&mut self, bytes: &mut [u8]) -> Option<usize> {
        if let Stage::Handshake = self.stage {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
            self.output
                .extend_from_slice(SWITCHING_PROTOCOLS.as_bytes());
            self.stage = Stage::Login;
            return Some(end + 4);
        }
        let (header, payload) = match bytes.get(1)? & 0x7F {
            126 => {
                let length = bytes
                    .get(2..4)?
                    .try_into()
                    .expect("the slice has two bytes");
                (4, usize::from(u16::from_be_bytes(length)))
            }
            127 => {
                let length = bytes
                    .get(2..10)?
                    .try_into()
                    .expect("the slice has eight bytes");
                let length = u64::from_be_bytes(length);
                (10, usize::try_from(length).expect("the length fits"))
            }
            short => (2, usize::from(short)),
        };
        let len = header + 4 + payload;
        let is_close = bytes[0] == 0x88;
        let (mask, text) = bytes.get_mut(header..len)?.split_at_mut(4);
        if is_close {
            self.stage = Stage::Closing;
            // A Close frame with the code 1000.
            self.output.extend([0x88, 2, 0x03, 0xE8]);
        } else if let Stage::Login = self.stage {
            self.stage = Stage::Echo;
            self.queue(&[CONGRATULATION.as_bytes()]);
        } else {
            let mut fours = text.chunks_exact_mut(4);
            for four in &mut fours {
                for at in 0..4 {
                    four[at] ^= mask[at];
                }
            }
            for (byte, mask) in fours.into_remainder().iter_mut().zip(mask) {
                *byte ^= *mask;
            }
            self.queue(&[PREFIX, text]);
        }
        Some(len)
    }

    /// Queues a text message.
    fn queue(&mut self, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.output.push(0x81);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ ..126), _) => self.output.push(short),
            (_, Ok(medium)) => {
                self.output.push(126);
                self.output.extend(medium.to_be_bytes());
            }
            (_, Err(_)) => {
                self.output.push(127);
                self.output.extend((length as u64).to_be_bytes());
            }
        }
        for part in parts {
            self.output.extend_from_slice(part);
        }
    }
}
