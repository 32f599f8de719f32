//! Things named by small integers, which JavaScript keeps in their place.

/// A table whose free places are used again.
pub struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// A table without anything in it.
    pub const fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Puts something in and says under which number.
    pub fn insert(&mut self, value: T) -> u32 {
        if let Some(handle) = self.free.pop() {
            self.places[handle as usize] = Some(value);
            return handle;
        }
        self.places.push(Some(value));
        u32::try_from(self.places.len() - 1).expect("more handles than descriptors can exist")
    }

    /// What is under a number.
    pub fn get_mut(&mut self, handle: u32) -> Option<&mut T> {
        self.places.get_mut(handle as usize)?.as_mut()
    }

    /// Takes out what is under a number.
    pub fn remove(&mut self, handle: u32) -> Option<T> {
        let value = self.places.get_mut(handle as usize)?.take()?;
        self.free.push(handle);
        Some(value)
    }

    /// Takes out everything.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.free.clear();
        std::mem::take(&mut self.places).into_iter().flatten()
    }
}
