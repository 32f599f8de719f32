//! What is said about functions: a test for each thing there is to say.

mod classes;
mod forms;
mod hostile;
mod marked;
mod offsets;
mod surroundings;
mod variables;
