//! The pages for users: their links, the commands that they show, and their tables.

mod deployment;
mod events;
mod examples;
mod links;
mod output;
mod pages;
mod quick_start;
mod settings;
mod tables;
