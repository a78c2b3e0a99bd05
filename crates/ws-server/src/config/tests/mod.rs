mod file;
mod reference;
