//! The journal seen from outside: crashes, faults, damage, threads and real files.

mod crash;
mod damage;
mod faults;
mod files;
mod model;
mod rewrite;
mod survey;
mod threads;
