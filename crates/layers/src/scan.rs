//! The paths and module declarations of one file, read from its tokens.
//!
//! Tokens are enough, and they show paths inside macros and attributes as well, which a syntax tree
//! does not.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The parts of a file that the check needs.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) modules: Vec<Declaration>,
    pub(crate) mentions: Vec<Mention>,
    /// The keywords of the items that the file defines at its top level, such as `fn`.
    pub(crate) defines: Vec<String>,
}

/// A declaration of a module.
#[derive(Debug)]
pub(crate) struct Declaration {
    /// The inline modules of the file around it, and its name.
    pub(crate) path: Vec<String>,
    pub(crate) is_inline: bool,
    /// The value of `#[path = "..."]`.
    pub(crate) file: Option<String>,
}

/// A path of two names or more, or any path of a `use` item.
#[derive(Debug)]
pub(crate) struct Mention {
    /// The inline modules of the file around it.
    pub(crate) inside: Vec<String>,
    pub(crate) path: Vec<String>,
    /// The name that a `use` item gives it.
    pub(crate) alias: Option<String>,
}

/// The keywords that begin an item other than `use` and `mod`.
const ITEMS: [&str; 10] = [
    "const",
    "enum",
    "fn",
    "impl",
    "macro_rules",
    "static",
    "struct",
    "trait",
    "type",
    "union",
];

impl Scan {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// Returns the lexer's error if the text is not Rust.
    pub(crate) fn parse(text: &str) -> Result<Self, proc_macro2::LexError> {
        let mut scan = Self::default();
        scan.read(text.parse()?, &[]);
        Ok(scan)
    }

    fn read(&mut self, tokens: TokenStream, inside: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut file = None;
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let keyword = ident(Some(token)).unwrap_or_default();
            match token {
                TokenTree::Ident(_) if keyword == "use" => {
                    let end = tokens[at..].iter().position(|token| is(token, ';'));
                    let end = end.map_or(tokens.len(), |length| at + length);
                    self.read_use(&tokens[at + 1..end], &[], inside);
                    at = end;
                }
                TokenTree::Ident(_) if keyword == "mod" => {
                    let mut path = inside.to_vec();
                    path.extend(ident(tokens.get(at + 1)));
                    let body = match tokens.get(at + 2) {
                        Some(TokenTree::Group(body)) => Some(body.stream()),
                        _ => None,
                    };
                    self.modules.push(Declaration {
                        path: path.clone(),
                        is_inline: body.is_some(),
                        file: file.take(),
                    });
                    if let Some(body) = body {
                        self.define("mod", inside);
                        self.read(body, &path);
                    }
                    at += 3;
                }
                TokenTree::Ident(_) => {
                    self.define(&keyword, inside);
                    let path = path_at(&tokens, at);
                    let next = at + 3 * path.len() - 2;
                    if path.len() > 1 && !follows_colons(&tokens, at) {
                        self.mention(path, None, inside);
                    }
                    at = next;
                }
                TokenTree::Group(group) => {
                    if let Some(path) = path_attribute(group.stream()) {
                        file = Some(path);
                    }
                    // Items inside a body are not at the top level.
                    let mut nested = Self::default();
                    nested.read(group.stream(), inside);
                    self.mentions.append(&mut nested.mentions);
                    self.modules.append(&mut nested.modules);
                    at += 1;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => at += 1,
            }
        }
    }

    /// Reads the tokens of a `use` item, or of a group in one.
    fn read_use(&mut self, tokens: &[TokenTree], prefix: &[String], inside: &[String]) {
        for tree in tokens.split(|token| is(token, ',')) {
            let start = tree.iter().take_while(|token| is(token, ':')).count();
            if start > 0 || tree.is_empty() {
                // `use ::tokio` is a path of another crate.
                continue;
            }
            let mut path = prefix.to_vec();
            if let TokenTree::Ident(_) = &tree[0] {
                path.extend(path_at(tree, 0));
            }
            if let Some(TokenTree::Group(group)) = tree.last()
                && group.delimiter() == Delimiter::Brace
            {
                let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                self.read_use(&inner, &path, inside);
                continue;
            }
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                // `use a::{self}` imports `a`.
                path.pop();
            }
            let is_glob = tree.last().is_some_and(|last| is(last, '*'));
            let renamed = tree.len() > 2 && ident(tree.get(tree.len() - 2)) == Some("as".into());
            let alias = if renamed {
                ident(tree.last())
            } else {
                path.last().filter(|_| !is_glob).cloned()
            };
            self.mention(path, alias, inside);
        }
    }

    fn mention(&mut self, path: Vec<String>, alias: Option<String>, inside: &[String]) {
        self.mentions.push(Mention {
            inside: inside.to_vec(),
            path,
            alias,
        });
    }

    fn define(&mut self, keyword: &str, inside: &[String]) {
        if inside.is_empty() && (ITEMS.contains(&keyword) || keyword == "mod") {
            self.defines.push(keyword.to_owned());
        }
    }
}

/// Returns the names of the path that begins with the identifier at `at`.
fn path_at(tokens: &[TokenTree], mut at: usize) -> Vec<String> {
    let mut path: Vec<String> = ident(tokens.get(at)).into_iter().collect();
    while let [first, second, name, ..] = tokens.get(at + 1..).unwrap_or_default()
        && is(first, ':')
        && is(second, ':')
        && let Some(name) = ident(Some(name))
    {
        path.push(name);
        at += 3;
    }
    path
}

/// Returns true if the token continues a path whose beginning is not a name, as in `<T>::a::b`.
fn follows_colons(tokens: &[TokenTree], at: usize) -> bool {
    at >= 2 && is(&tokens[at - 1], ':') && is(&tokens[at - 2], ':')
}

/// Returns an identifier as the compiler compares it.
fn ident(token: Option<&TokenTree>) -> Option<String> {
    match token? {
        TokenTree::Ident(ident) => Some(ident.to_string().trim_start_matches("r#").to_owned()),
        _ => None,
    }
}

fn is(token: &TokenTree, punct: char) -> bool {
    matches!(token, TokenTree::Punct(found) if found.as_char() == punct)
}

/// Returns the value of the attribute content `path = "..."`.
fn path_attribute(tokens: TokenStream) -> Option<String> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    match &tokens[..] {
        [name, equals, TokenTree::Literal(value)]
            if is(equals, '=') && ident(Some(name)).as_deref() == Some("path") =>
        {
            Some(value.to_string().trim_matches('"').to_owned())
        }
        _ => None,
    }
}
