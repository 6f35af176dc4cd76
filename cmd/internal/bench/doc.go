// Package bench measures paths through the whole broker beside ceilings written
// for them, in one run. It has tests only.
package bench
