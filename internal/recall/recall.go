// Package recall remembers a bounded number of values, for what is dear to find out again.
package recall

import "sync"

// Map remembers values by their keys. Past its limit any one makes room for the next. All methods are safe for concurrent
// use; values are shared, so that what they refer to is for reading.
type Map[K comparable, V any] struct {
	limit int
	mu    sync.Mutex
	held  map[K]V
}

// New makes a map that remembers so many values at most; the limit is at least 1.
func New[K comparable, V any](limit int) *Map[K, V] {
	return &Map[K, V]{limit: max(limit, 1), held: map[K]V{}}
}

// Get is the value of a key, if it is remembered.
func (m *Map[K, V]) Get(key K) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, found := m.held[key]
	return value, found
}

// Put remembers a value.
func (m *Map[K, V]) Put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.held[key]; !known && len(m.held) >= m.limit {
		for victim := range m.held {
			delete(m.held, victim)
			break
		}
	}
	m.held[key] = value
}

// Drop forgets a key.
func (m *Map[K, V]) Drop(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.held, key)
}

// Len is how many values are remembered.
func (m *Map[K, V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.held)
}
