package tvm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"

	"github.com/rolecall/rolecall/broker"
)

// exchange is a request and what must become of it.
type exchange struct {
	method, path string // the path as in the document
	at           string // the path that is asked for, "" for the same
	body         string
	service      func(*fake)
	status       int
}

// refusals are what a service may answer, by status.
func refusals() map[int]*broker.Error {
	return map[int]*broker.Error{
		400: broker.Fail(broker.InvalidRequest, "x", "It is not right."),
		401: broker.Fail(broker.Unauthenticated, "use_dpop_nonce", "A nonce is needed."),
		403: broker.Fail(broker.AccessDenied, "x", "It is not granted."),
		429: broker.Fail(broker.RateLimited, "x", "Too many."),
		500: broker.Fail(broker.Internal, "x", "It is wrong."),
		502: broker.Fail(broker.AWSRefused, "x", "AWS said no."),
		503: broker.Fail(broker.Unavailable, "x", "Come again."),
	}
}

// refused gives an exchange for each refusal that a service may answer.
func refused(e exchange, statuses ...int) []exchange {
	var all []exchange
	for _, status := range statuses {
		one := e
		one.status = status
		one.service = func(f *fake) { f.err = refusals()[status] }
		all = append(all, one)
	}
	return all
}

// deviceExchanges are those of devices.json: each documented status of each route.
func deviceExchanges() []exchange {
	register := exchange{method: "POST", path: "/tvm/v1/devices", body: `{"app":"notes"}`, status: 201}
	known, large := register, register
	known.status, known.service = 200, func(f *fake) { f.known = true }
	large.status, large.body = 413, `{"app":"`+strings.Repeat("x", maxBody)+`"}`
	list := exchange{method: "GET", path: "/tvm/v1/devices", status: 200}
	revoke := exchange{method: "DELETE", path: "/tvm/v1/devices/{id}", at: "/tvm/v1/devices/" + deviceID, status: 204}
	rotate := exchange{method: "POST", path: "/tvm/v1/devices/{id}/key", at: "/tvm/v1/devices/" + deviceID + "/key", body: `{"proof":"a.b.c","signature":"AAAA"}`, status: 200}
	largeKey := rotate
	largeKey.status, largeKey.body = 413, `{"proof":"`+strings.Repeat("x", maxBody)+`","signature":""}`
	order := exchange{method: "POST", path: "/tvm/v1/credentials", body: `{"role":"production/Guest","duration":"15m"}`, status: 200}
	least, stale, largeOrder, login := order, order, order, order
	least.body = `{}`
	stale.service = func(f *fake) { f.stale = true }
	largeOrder.status, largeOrder.body = 413, `{"role":"`+strings.Repeat("x", maxBody)+`"}`
	login.status, login.service = 401, func(f *fake) { f.err = broker.Fail(broker.StepUp, "x", "Log in again.") }
	all := []exchange{register, known, large, list, revoke, rotate, largeKey, order, least, stale, largeOrder, login}
	all = append(all, refused(register, 400, 401, 403, 429, 500, 503)...)
	all = append(all, refused(list, 401, 429, 500, 503)...)
	all = append(all, refused(revoke, 401, 403, 429, 500, 503)...)
	all = append(all, refused(rotate, 400, 401, 403, 429, 500, 503)...)
	return append(all, refused(order, 400, 401, 403, 429, 500, 502, 503)...)
}

// covered are the parts of the document whose routes are held to it here. What
// base.json has (/oauth2/token) is another endpoint's: cmd/internal/assemble.
func covered() map[string][]exchange {
	return map[string][]exchange{"devices.json": deviceExchanges(), "people.json": peopleExchanges()}
}

func exchanges() []exchange {
	var all []exchange
	for _, some := range covered() {
		all = append(all, some...)
	}
	return all
}

func judge(t *testing.T) validator.Validator {
	t.Helper()
	_, answer := ask(t, serve(t, &fake{}), http.MethodGet, "/tvm/v1/openapi.json", "")
	text := read(t, answer)
	document, err := libopenapi.NewDocument([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return v
}

func TestTheDocumentIsOpenAPI(t *testing.T) {
	t.Parallel()
	v := judge(t)
	if ok, errs := v.ValidateDocument(); !ok {
		for _, err := range errs {
			t.Errorf("%s: %s %v", err.Message, err.Reason, err.SchemaValidationErrors)
		}
	}
}

func TestEachAnswerIsAsDocumented(t *testing.T) {
	t.Parallel()
	v := judge(t)
	for _, e := range exchanges() {
		name := fmt.Sprint(e.method, " ", e.path, " ", e.status)
		f := &fake{}
		if e.service != nil {
			e.service(f)
		}
		at := e.at
		if at == "" {
			at = e.path
		}
		request, answer := ask(t, serve(t, f), e.method, at, e.body)
		if answer.StatusCode != e.status {
			t.Errorf("%s: got %d %s", name, answer.StatusCode, read(t, answer))
			continue
		}
		if ok, errs := v.ValidateHttpRequest(request); !ok {
			t.Errorf("%s: the request is not as documented: %v", name, errs)
		}
		if ok, errs := v.ValidateHttpResponse(request, answer); !ok {
			for _, err := range errs {
				t.Errorf("%s: the answer is not as documented: %s %s %v", name, err.Message, err.Reason, err.SchemaValidationErrors)
			}
		}
	}
}

// What is documented exists, with each of its answers; and what exists is documented.
func TestEachDocumentedAnswerIsGiven(t *testing.T) {
	t.Parallel()
	for part, exchanges := range covered() {
		documentedAreGiven(t, part, exchanges)
	}
}

func documentedAreGiven(t *testing.T, part string, exchanges []exchange) {
	t.Helper()
	whole, err := readPart(part, base)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(whole["paths"])
	if err != nil {
		t.Fatal(err)
	}
	var paths map[string]map[string]json.RawMessage
	if err := json.Unmarshal(text, &paths); err != nil {
		t.Fatal(err)
	}
	given := map[string]bool{}
	for _, e := range exchanges {
		given[fmt.Sprint(e.method, " ", e.path, " ", e.status)] = true
	}
	for path, methods := range paths {
		for method, raw := range methods {
			var operation struct {
				ID        string                     `json:"operationId"`
				Summary   string                     `json:"summary"`
				Responses map[string]json.RawMessage `json:"responses"`
			}
			if method == "parameters" {
				continue
			}
			if err := json.Unmarshal(raw, &operation); err != nil || operation.ID == "" || operation.Summary == "" {
				t.Fatalf("%s %s: %+v %v", method, path, operation, err)
			}
			for text := range operation.Responses {
				status, err := strconv.Atoi(text)
				name := fmt.Sprint(strings.ToUpper(method), " ", path, " ", status)
				if err != nil || !given[name] {
					t.Errorf("%s is documented, and never given", name)
				}
				delete(given, name)
			}
		}
	}
	for name := range given {
		t.Errorf("%s is given, and not documented", name)
	}
}
