package oauth2

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rolecall/rolecall/idp"
)

const (
	// perPage is the most that GitHub gives on a page; maxPages of that are more than
	// an identity may have.
	perPage, maxPages = 100, 10
	// maxParents bounds the questions for teams above those of the person.
	maxParents = 50
)

// pages reads a list to its end. Its addresses are ours, whatever the Link header
// points at. A page that is missing refuses the whole: who has 900 groups has all
// 900, and a refusal by group is not escaped by an outage.
func pages[T any](ctx context.Context, g *github, token, path string) ([]T, error) {
	var all []T
	for page := 1; page <= maxPages; page++ {
		var some []T
		header, err := g.get(ctx, token, path+"?per_page="+strconv.Itoa(perPage)+"&page="+strconv.Itoa(page), &some)
		if err != nil {
			return nil, mustAnswer(err)
		}
		all = append(all, some...)
		// A full page may be the last one, or its Link may have been lost: ask once more.
		if len(some) < perPage && !strings.Contains(header.Get("Link"), `rel="next"`) {
			return all, nil
		}
	}
	return nil, idp.Reject("too-many-values", "GitHub's list %s has more than %d entries", path, perPage*maxPages)
}

// membership is what GitHub says of a person and an organization.
type membership struct {
	State        string `json:"state"`
	Organization struct {
		ID int64 `json:"id"`
	} `json:"organization"`
	User struct {
		ID int64 `json:"id"`
	} `json:"user"`
}

// team is one that a person is in; those in a team below it are in it too.
type team struct {
	ID           int64  `json:"id"`
	Slug         string `json:"slug"`
	Parent       *team  `json:"parent"`
	Organization struct {
		ID int64 `json:"id"`
	} `json:"organization"`
}

// groups are the configured organizations that the person is an active member of,
// and the teams there. A member of none may not sign in.
func (g *github) groups(ctx context.Context, token string, user int64) ([]string, error) {
	var groups []string
	names := map[int64]string{} // of organizations, by their number
	for _, org := range g.organizations {
		id, err := g.member(ctx, token, org, user)
		if err != nil {
			return nil, err
		}
		if id != 0 {
			names[id] = org.name
			groups = append(groups, org.name)
		}
	}
	if len(groups) == 0 {
		return nil, idp.Reject("organization", "the person is an active member of none of the configured organizations")
	}
	teams, err := pages[team](ctx, g, token, "/user/teams")
	if err != nil {
		return nil, err
	}
	seen := map[int64]bool{}
	for _, t := range teams {
		seen[t.ID] = true
	}
	asked := 0
	for _, t := range teams {
		name, ours := names[t.Organization.ID]
		if !ours {
			continue
		}
		for above := &t; above != nil; {
			if above.ID <= 0 || above.Slug == "" || strings.ContainsAny(above.Slug, "/?#") {
				return nil, idp.Reject("malformed", "GitHub names a team in a way that cannot be read")
			}
			groups = append(groups, name+"/"+above.Slug)
			if above.Parent == nil || seen[above.Parent.ID] {
				break
			}
			seen[above.Parent.ID] = true
			if asked++; asked > maxParents {
				return nil, idp.Reject("too-many-values", "GitHub's teams have more than %d others above them", maxParents)
			}
			if above, err = g.team(ctx, token, name, above.Parent); err != nil {
				return nil, err
			}
		}
	}
	return groups, nil
}

// member gives the number of an organization of which the person is an active
// member, 0 otherwise. An organization that keeps us out is none that the person is
// not in: nobody knows.
func (g *github) member(ctx context.Context, token string, org organization, user int64) (int64, error) {
	var m membership
	_, err := g.get(ctx, token, "/user/memberships/orgs/"+url.PathEscape(org.name), &m)
	var no *refused
	switch {
	case errors.As(err, &no) && no.status == http.StatusNotFound:
		return 0, nil
	case errors.As(err, &no) && no.status == http.StatusForbidden:
		return 0, idp.Reject("organization", "the organization %s lets rolecall not see its members: an owner must approve the OAuth app there, or the person authorize it for single sign-on", org.name)
	case err != nil:
		return 0, mustAnswer(err)
	case m.User.ID != user:
		return 0, idp.Reject("profile", "the membership of %s is about another person", org.name)
	case m.State != "active":
		return 0, nil // an invitation that was not accepted
	case m.Organization.ID <= 0 || org.id != 0 && m.Organization.ID != org.id:
		return 0, idp.Reject("organization", "the organization %s is number %d, not the one that is configured: it may have been renamed, and its name taken", org.name, m.Organization.ID)
	}
	return m.Organization.ID, nil
}

// team asks for a team by its name; it must be the one that another named as its parent.
func (g *github) team(ctx context.Context, token, org string, want *team) (*team, error) {
	if want.Slug == "" || strings.ContainsAny(want.Slug, "/?#") {
		return nil, idp.Reject("malformed", "GitHub names a team in a way that cannot be read")
	}
	var t team
	if _, err := g.get(ctx, token, "/orgs/"+url.PathEscape(org)+"/teams/"+url.PathEscape(want.Slug), &t); err != nil {
		return nil, mustAnswer(err)
	}
	if t.ID != want.ID {
		return nil, idp.Reject("malformed", "GitHub's teams changed while they were read")
	}
	return &t, nil
}
