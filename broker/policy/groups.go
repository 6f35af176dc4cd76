package policy

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// groupSet is a person's groups as one set, for selectors and for CEL. The first
// few questions scan the list; whoever asks more gets a map, so that `in` does
// not grow with the number of groups. To CEL it is a list of strings whose `in`
// is this set's.
type groupSet struct {
	traits.Lister // made on the first use as a list
	names         []string
	asked         int
	set           map[string]struct{}
}

// scans is how many questions a list answers before a map pays.
const scans = 3

// forCEL makes the set usable as a CEL list.
func (s *groupSet) forCEL() *groupSet {
	if s.Lister == nil {
		s.Lister = types.NewStringList(types.DefaultTypeAdapter, s.names)
	}
	return s
}

func (s *groupSet) has(name string) bool {
	if s.set == nil && s.asked < scans {
		s.asked++
		for _, n := range s.names {
			if n == name {
				return true
			}
		}
		return false
	}
	if s.set == nil {
		s.set = make(map[string]struct{}, len(s.names))
		for _, n := range s.names {
			s.set[n] = struct{}{}
		}
	}
	_, ok := s.set[name]
	return ok
}

// Contains implements traits.Container for CEL's `in`.
func (s *groupSet) Contains(value ref.Val) ref.Val {
	name, ok := value.(types.String)
	if !ok {
		return types.MaybeNoSuchOverloadErr(value)
	}
	return types.Bool(s.has(string(name)))
}
