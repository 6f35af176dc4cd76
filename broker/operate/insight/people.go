package insight

import (
	"context"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
)

// maxPeople bounds how many are looked at.
const maxPeople = 5000

// Person is somebody who has signed in within the last 90 days.
type Person struct {
	Provider, Subject, Username, Name string
	Groups                            []string
	MFA                               bool
	// Last is the newest sign-in, made from Address by Agent, "" where not known.
	Last           time.Time
	Address, Agent string
	// Live is how many sessions and token families they have now.
	Live int
}

// Key is PROVIDER=SUBJECT, as Question has it.
func (p Person) Key() string { return p.Provider + "=" + p.Subject }

// People lists who has signed in, the newest first: those whose name, subject,
// group or address holds text. More says that not all were looked at.
func (i *Insight) People(ctx context.Context, caller broker.Caller, text string) (found []Person, more bool, err error) {
	if err := i.admit(ctx, caller); err != nil {
		return nil, false, err
	}
	arrivals, err := i.cfg.Sessions.Arrivals(ctx, "", "", maxPeople)
	if err != nil {
		return nil, false, err
	}
	sessions, families, err := i.cfg.Sessions.Live(ctx, "", "", maxPeople)
	if err != nil {
		return nil, false, err
	}
	live := map[[2]string]int{}
	for _, s := range sessions {
		live[[2]string{s.Identity.Provider, s.Identity.Subject}]++
	}
	for _, f := range families {
		live[[2]string{f.Identity.Provider, f.Identity.Subject}]++
	}
	text = strings.ToLower(text)
	for _, a := range arrivals {
		who := a.Identity
		p := Person{
			Provider: who.Provider, Subject: who.Subject, Username: who.Username, Groups: who.Groups, MFA: who.MFA(),
			Last: a.Since, Address: a.Address, Agent: a.Agent, Live: live[[2]string{who.Provider, who.Subject}],
		}
		for _, attribute := range []string{"name", "displayName", "urn:oid:2.16.840.1.113730.3.1.241"} {
			if values := who.Attributes[attribute]; p.Name == "" && len(values) == 1 && values[0] != who.Username {
				p.Name = values[0]
			}
		}
		if p.fits(text) {
			found = append(found, p)
		}
	}
	return found, len(arrivals) >= maxPeople, nil
}

func (p Person) fits(text string) bool {
	if text == "" {
		return true
	}
	for _, field := range append([]string{p.Username, p.Name, p.Subject, p.Address, p.Provider}, p.Groups...) {
		if strings.Contains(strings.ToLower(field), text) {
			return true
		}
	}
	return false
}
