package policy

import (
	"fmt"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

var sizes = []struct{ grants, groups int }{
	{10, 5}, {10, 50}, {10, 500}, {1_000, 5}, {1_000, 50}, {1_000, 500}, {10_000, 5}, {10_000, 50}, {10_000, 500},
}

func groupName(i int) string { return fmt.Sprintf("team-%05d-engineering", i) }

// manyGrants gives one role to one group each; with a condition if when is set.
func manyGrants(n int, when string) Config {
	grants := make([]config.Grant, n)
	for i := range grants {
		grants[i] = config.Grant{
			Name: text(fmt.Sprint("grant-", i)), Groups: texts(groupName(i)), Duration: time.Hour,
			Role: text(fmt.Sprintf("arn:aws:iam::111122223333:role/role-%d", i)), When: text(when),
		}
	}
	return setup(grants...)
}

// member is in n groups spread over twice the groups that grants name, so that
// about half of them give something.
func member(n, grants int) idp.Identity {
	id := alice()
	for i := range n {
		id.Groups = append(id.Groups, groupName((i*grants/n+grants/2)%(grants*2)))
	}
	return id
}

func each(b *testing.B, run func(b *testing.B, grants, groups int)) {
	for _, s := range sizes {
		b.Run(fmt.Sprintf("grants=%d/groups=%d", s.grants, s.groups), func(b *testing.B) {
			b.ReportAllocs()
			run(b, s.grants, s.groups)
		})
	}
}

// BenchmarkCeiling is the least a list of grants can cost: one look-up in a map
// per group, into memory that is there.
func BenchmarkCeiling(b *testing.B) {
	each(b, func(b *testing.B, grants, groups int) {
		index := map[string][]int32{}
		for i := range grants {
			index[groupName(i)] = append(index[groupName(i)], int32(i))
		}
		id := member(groups, grants)
		found := make([]int32, 0, 1024)
		for b.Loop() {
			found = found[:0]
			for _, g := range id.Groups {
				found = append(found, index[g]...)
			}
		}
	})
}

// BenchmarkCandidates is our own index alone: the list of grants of a person.
func BenchmarkCandidates(b *testing.B) {
	each(b, func(b *testing.B, grants, groups int) {
		p := compiled(b, manyGrants(grants, ""))
		id, a := member(groups, grants), ask()
		found := make([]int32, 0, 1024)
		for b.Loop() {
			d := decider{p: p, id: &id, ask: &a}
			found = p.candidates(found[:0], &d)
		}
	})
}

// BenchmarkDecide is the whole list, with every parameter of every order to STS.
func BenchmarkDecide(b *testing.B) {
	each(b, func(b *testing.B, grants, groups int) {
		p := compiled(b, manyGrants(grants, ""))
		id, a := member(groups, grants), ask()
		for b.Loop() {
			p.Decide(id, a)
		}
	})
}

// BenchmarkDecideOne asks for one role, as an order of credentials does.
func BenchmarkDecideOne(b *testing.B) {
	each(b, func(b *testing.B, grants, groups int) {
		p := compiled(b, manyGrants(grants, ""))
		id, a := member(groups, grants), ask()
		all := p.Decide(id, a).Granted
		if len(all) == 0 {
			b.Skip("nothing to ask for")
		}
		a.Role = all[len(all)/2].Role
		for b.Loop() {
			if len(p.Decide(id, a).Granted) != 1 {
				b.Fatal("not granted")
			}
		}
	})
}

// BenchmarkCondition is `in` over the groups: last of 5 and of 500, once and as
// one of a hundred grants of one person.
func BenchmarkCondition(b *testing.B) {
	for _, groups := range []int{5, 50, 500} {
		for _, candidates := range []int{1, 100} {
			b.Run(fmt.Sprintf("groups=%d/grants=%d", groups, candidates), func(b *testing.B) {
				b.ReportAllocs()
				c := manyGrants(candidates, "")
				for i := range c.Grants {
					c.Grants[i].Groups, c.Grants[i].Everyone = nil, true
					c.Grants[i].When = text(fmt.Sprintf("%q in identity.groups && identity.mfa", groupName(groups-1)))
				}
				p := compiled(b, c)
				id, a := alice(), ask()
				for i := range groups {
					id.Groups = append(id.Groups, groupName(i))
				}
				id.Methods = []string{"mfa"}
				for b.Loop() {
					if len(p.Decide(id, a).Granted) != candidates {
						b.Fatal("not granted")
					}
				}
			})
		}
	}
}

// BenchmarkEvaluation is one CEL evaluation and nothing else.
func BenchmarkEvaluation(b *testing.B) {
	for _, groups := range []int{5, 500} {
		b.Run(fmt.Sprintf("groups=%d", groups), func(b *testing.B) {
			b.ReportAllocs()
			var faults config.Faults
			c := compileCondition(text(fmt.Sprintf("%q in identity.groups && identity.mfa", groupName(groups-1))), &faults)
			id, a := alice(), ask()
			for i := range groups {
				id.Groups = append(id.Groups, groupName(i))
			}
			id.Methods = []string{"mfa"}
			vars := &variables{id: &id, ask: &a, groups: &groupSet{names: id.Groups}, role: iam.RoleARN{}.String()}
			for b.Loop() {
				if held, err := c.holds(vars); !held || err != nil {
					b.Fatal(held, err)
				}
			}
		})
	}
}
