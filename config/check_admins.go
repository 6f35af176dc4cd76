package config

import "slices"

// admins makes sure that administration is given by providers that are named and
// exist: a group is worth what its provider is.
func (c *checker) admins() {
	a := c.Admins
	for _, name := range a.Providers {
		if !slices.ContainsFunc(c.Providers, func(p Provider) bool { return p.Name.Value == name.Value }) {
			c.faults.Add(name.Pos, "admins.providers[]: no provider is named %s", quoted(name.Value))
		}
	}
	people := slices.Concat(a.Groups, a.Users)
	switch {
	case len(people) > 0 && len(a.Providers) == 0:
		c.faults.Add(people[0].Pos, "admins.providers: missing; a group or user name counts only from providers that are named")
	case len(people) == 0 && len(a.Providers) > 0:
		c.faults.Add(a.Providers[0].Pos, "admins: names neither groups nor users, so it selects nobody")
	}
}
