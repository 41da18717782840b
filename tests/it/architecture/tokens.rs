//! Splits Rust source into words and marks. Comments are dropped and literals lose their content, so that no rule is
//! broken by what a text says.

/// What one piece of source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// An identifier or keyword; a raw identifier without its `r#`.
    Word(String),
    /// `::`
    Colons,
    /// Any other single character.
    Mark(char),
    /// A string, character or number.
    Literal,
}

/// A token and the line it begins on, counted from 1.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The token.
    pub token: Token,
    /// Its line.
    pub line: usize,
}

impl Placed {
    /// The word, if it is one.
    pub fn word(&self) -> Option<&str> {
        match &self.token {
            Token::Word(word) => Some(word),
            _ => None,
        }
    }

    /// Whether it is this mark.
    pub fn is(&self, mark: char) -> bool {
        self.token == Token::Mark(mark)
    }
}

/// All tokens of a source, in order.
pub fn tokens(source: &str) -> Vec<Placed> {
    let mut reader = Reader { characters: source.chars().collect(), at: 0, line: 1, found: Vec::new() };
    while reader.at < reader.characters.len() {
        reader.step();
    }
    reader.found
}

struct Reader {
    characters: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Placed>,
}

impl Reader {
    fn peek(&self, ahead: usize) -> char {
        self.characters.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn advance(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0) == '\n' {
                self.line += 1;
            }
            self.at += 1;
        }
    }

    fn push(&mut self, token: Token, line: usize) {
        self.found.push(Placed { token, line });
    }

    fn step(&mut self) {
        let line = self.line;
        match (self.peek(0), self.peek(1)) {
            (space, _) if space.is_whitespace() => self.advance(1),
            ('/', '/') => self.skip_line(),
            ('/', '*') => self.skip_block_comment(),
            ('"', _) => {
                self.skip_quoted('"');
                self.push(Token::Literal, line);
            }
            ('\'', _) => self.quote(line),
            (':', ':') => {
                self.advance(2);
                self.push(Token::Colons, line);
            }
            (first, _) if first.is_ascii_digit() => {
                self.skip_number();
                self.push(Token::Literal, line);
            }
            (first, _) if starts_word(first) => self.word(line),
            (other, _) => {
                self.advance(1);
                self.push(Token::Mark(other), line);
            }
        }
    }

    fn skip_line(&mut self) {
        while self.at < self.characters.len() && self.peek(0) != '\n' {
            self.advance(1);
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.characters.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => {
                    depth += 1;
                    self.advance(2);
                }
                ('*', '/') => {
                    depth -= 1;
                    self.advance(2);
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.advance(1),
            }
        }
    }

    /// From the opening quote to after the closing one, past escapes.
    fn skip_quoted(&mut self, quote: char) {
        self.advance(1);
        while self.at < self.characters.len() && self.peek(0) != quote {
            self.advance(if self.peek(0) == '\\' { 2 } else { 1 });
        }
        self.advance(1);
    }

    /// A raw string from its first `#` or quote on.
    fn skip_raw(&mut self) {
        let mut hashes = 0;
        while self.peek(0) == '#' {
            hashes += 1;
            self.advance(1);
        }
        self.advance(1);
        while self.at < self.characters.len() {
            let closes = self.peek(0) == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == '#');
            self.advance(1);
            if closes {
                self.advance(hashes);
                return;
            }
        }
    }

    /// A character or a lifetime. A lifetime's name is no word of the source.
    fn quote(&mut self, line: usize) {
        if self.peek(1) == '\\' || self.peek(2) == '\'' {
            self.skip_quoted('\'');
        } else {
            self.advance(1);
            while continues_word(self.peek(0)) {
                self.advance(1);
            }
        }
        self.push(Token::Literal, line);
    }

    fn skip_number(&mut self) {
        while continues_word(self.peek(0)) || (self.peek(0) == '.' && self.peek(1).is_ascii_digit()) {
            self.advance(1);
        }
    }

    fn word(&mut self, line: usize) {
        let start = self.at;
        while continues_word(self.peek(0)) {
            self.advance(1);
        }
        let word: String = self.characters[start..self.at].iter().collect();
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        let hashes = self.characters[self.at..].iter().take_while(|character| **character == '#').count();
        if raw && self.peek(hashes) == '"' {
            self.skip_raw();
            self.push(Token::Literal, line);
        } else if word == "r" && hashes == 1 && starts_word(self.peek(1)) {
            self.advance(1);
            self.word(line);
        } else if matches!(word.as_str(), "b" | "c") && matches!(self.peek(0), '"' | '\'') {
            self.skip_quoted(self.peek(0));
            self.push(Token::Literal, line);
        } else {
            self.push(Token::Word(word), line);
        }
    }
}

fn starts_word(character: char) -> bool {
    character == '_' || character.is_alphabetic()
}

fn continues_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}
