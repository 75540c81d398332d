//! The pages of the admin listener, as a browser without scripts gets them.

mod changed;
mod downloads;
mod fixture;
mod foreign_text;
mod refused;
mod rotation;
mod shown;
mod turned;
