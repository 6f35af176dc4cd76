package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/claims"
	"github.com/rolecall/rolecall/idp/fetch"
)

// graphHost is the address of Microsoft Graph, the only one that groups are
// fetched from: the address that a token names is never followed.
func graphHost(cloud string) string {
	switch cloud {
	case "us":
		return "https://graph.microsoft.us"
	case "us-dod":
		return "https://dod-graph.microsoft.us"
	case "china":
		return "https://microsoftgraph.chinacloudapi.cn"
	}
	return "https://graph.microsoft.com"
}

const (
	maxGraphPages = 12
	// graphEarly is how long before its end a token of ours at Graph is renewed.
	graphEarly = 2 * time.Minute
)

// graph asks Microsoft Graph, as the application (client credentials), which groups
// a person is in, transitively. It has to be the application: programs that bring an
// ID token bring no token for Graph, and a person's own needs the same consent.
type graph struct {
	host     string
	client   *clientAuth
	discover *discoverer
	fetch    *fetch.Client
	now      func() time.Time

	mu     sync.Mutex
	tokens map[string]graphToken // by tenant
}

type graphToken struct {
	text    secret.String
	expires time.Time
}

// newGraph is nil where the configuration does not ask for it.
func newGraph(c Config, client *clientAuth, discover *discoverer) *graph {
	section := c.Provider
	if section.Preset.Value != "microsoft" || section.GroupOverage.Value != "graph" {
		return nil
	}
	return &graph{
		host: graphHost(section.Cloud.Value), client: client, discover: discover,
		fetch: c.Fetch, now: c.Now, tokens: map[string]graphToken{},
	}
}

// at is where a tenant gives tokens: the document of all organizations names an
// address of theirs.
func (g *graph) at(ctx context.Context, tenant string) (*metadata, error) {
	m, err := g.discover.get(ctx)
	if err != nil {
		return nil, err
	}
	own := *m
	own.token = strings.Replace(m.token, "/organizations/", "/"+tenant+"/", 1)
	return &own, nil
}

// complete puts the groups that did not fit into the token in their place. Without
// an overage, or without Graph, it changes nothing, and judgeGroups refuses.
func (p *Provider) complete(ctx context.Context, all object) (object, error) {
	path := p.mapping.groups
	if p.graph == nil || len(path) != 1 || !overage(all, path[0]) {
		return all, nil
	}
	tid, _ := all.get("tid")
	oid, _ := all.get("oid")
	if tid.text == "" || !printable(oid.text, 64) || strings.ContainsAny(oid.text, "/?#%") {
		return nil, idp.Reject("groups-overage", "the token has no oid by which Graph could be asked")
	}
	groups, err := p.graph.groups(ctx, tid.text, oid.text)
	if err != nil {
		return nil, err
	}
	full := object{}
	for _, m := range all {
		switch m.name {
		case path[0], "_claim_names", "_claim_sources", "hasgroups":
		default:
			full = append(full, m)
		}
	}
	list := &inner{}
	for _, id := range groups {
		list.list = append(list.list, value{kind: kindText, text: id})
	}
	return append(full, member{path[0], value{kind: kindList, inner: list}}), nil
}

// groups are the ids of all groups of a person.
func (g *graph) groups(ctx context.Context, tenant, oid string) ([]string, error) {
	token, err := g.access(ctx, tenant)
	if err != nil {
		return nil, err
	}
	address := g.host + "/v1.0/users/" + url.PathEscape(oid) + "/getMemberGroups"
	// All kinds of groups: what the token may hold is configured at Microsoft, and
	// nobody may escape a refusal by having more.
	body, method := []byte(`{"securityEnabledOnly":false}`), http.MethodPost
	groups := []string{}
	for range maxGraphPages {
		page, err := g.page(ctx, method, address, token, body)
		if err != nil {
			return nil, err
		}
		groups = append(groups, page.Groups...)
		switch {
		case len(groups) > claims.MaxValues:
			return nil, idp.Reject("groups-overage", "the person is in more than %d groups", claims.MaxValues)
		case page.Next == "":
			return groups, nil
		case !strings.HasPrefix(page.Next, g.host+"/"):
			return nil, idp.Reject("groups-overage", "Graph sends on to another address than its own")
		}
		address, method, body = page.Next, http.MethodGet, nil
	}
	return nil, idp.Reject("groups-overage", "Graph's answer has more than %d pages", maxGraphPages)
}

type graphPage struct {
	Groups []string `json:"value"`
	Next   string   `json:"@odata.nextLink"`
}

func (g *graph) page(ctx context.Context, method, address string, token secret.String, body []byte) (graphPage, error) {
	req, err := http.NewRequestWithContext(fetch.For(ctx, "groups"), method, address, bytes.NewReader(body))
	if err != nil {
		return graphPage{}, idp.Reject("groups-overage", "Graph sends on to what is no address")
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	status, answer, err := g.do(req)
	if err != nil {
		return graphPage{}, err
	}
	switch status {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return graphPage{}, idp.Reject("groups-overage", "Graph refuses (HTTP status %d): the application needs the permissions User.Read.All and GroupMember.Read.All, of type application, with an administrator's consent", status)
	default:
		return graphPage{}, idp.Reject("groups-overage", "Graph does not tell the person's groups: HTTP status %d", status)
	}
	var page graphPage
	if err := json.Unmarshal(answer, &page); err != nil || page.Groups == nil {
		return graphPage{}, idp.Reject("groups-overage", "Graph's answer is no list of groups")
	}
	return page, nil
}

// access is a token for Graph of the application in a tenant.
func (g *graph) access(ctx context.Context, tenant string) (secret.String, error) {
	g.mu.Lock()
	kept, there := g.tokens[tenant]
	g.mu.Unlock()
	if there && g.now().Before(kept.expires.Add(-graphEarly)) {
		return kept.text, nil
	}
	m, err := g.at(ctx, tenant)
	if err != nil {
		return secret.String{}, err
	}
	ours, err := g.client.prove(m)
	if err != nil {
		return secret.String{}, err
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {ours.id}, "scope": {g.host + "/.default"}}
	if ours.secret != "" {
		form.Set("client_secret", ours.secret)
	}
	maps.Copy(form, ours.more)
	req, err := http.NewRequestWithContext(fetch.For(ctx, "groups"), http.MethodPost, m.token, strings.NewReader(form.Encode()))
	if err != nil {
		return secret.String{}, fmt.Errorf("token for Graph: %w", idp.ErrUnavailable)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, answer, err := g.do(req)
	if err != nil {
		return secret.String{}, err
	}
	var got struct {
		Token   string  `json:"access_token"`
		Expires float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(answer, &got); status != http.StatusOK || err != nil || got.Token == "" {
		return secret.String{}, idp.Reject("groups-overage", "the tenant gives the application no token for Graph (HTTP status %d): its secret or key, or an administrator's consent, is missing", status)
	}
	made := graphToken{secret.New(got.Token), g.now().Add(time.Duration(min(got.Expires, 86400)) * time.Second)}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens[tenant] = made
	return made.text, nil
}

// do asks and reads. What is down, or asks for patience, is an outage and no
// refusal.
func (g *graph) do(req *http.Request) (status int, answer []byte, err error) {
	req.Header.Set("Accept", "application/json")
	resp, err := g.fetch.HTTPClient().Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("groups from Graph: %w: %w", idp.ErrUnavailable, bare(err))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, fmt.Errorf("groups from Graph: %w: %w", idp.ErrUnavailable, err)
	}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return 0, nil, fmt.Errorf("groups from Graph: %w: the answer is HTTP status %d", idp.ErrUnavailable, resp.StatusCode)
	}
	return resp.StatusCode, answer, nil
}
