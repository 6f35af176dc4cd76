package stswire

import (
	"net/http/httptest"
	"testing"
)

// The vectors are AWS's own: the first of aws-sig-v4-test-suite (get-vanilla,
// get-vanilla-query-order-key-case, post-x-www-form-urlencoded) and the example
// of the SigV4 chapter in the General Reference.
func TestAWSsOwnVectors(t *testing.T) {
	t.Parallel()
	const key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	for name, test := range map[string]struct {
		method, target, host, service, body, contentType, signature string
		signed                                                      []string
	}{
		"get-vanilla": {
			method: "GET", target: "/", host: "example.amazonaws.com", service: "service", signed: []string{"host", "x-amz-date"},
			signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
		},
		"get-vanilla-query-order-key-case": {
			method: "GET", target: "/?Param2=value2&Param1=value1", host: "example.amazonaws.com", service: "service", signed: []string{"host", "x-amz-date"},
			signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
		},
		"post-x-www-form-urlencoded": {
			method: "POST", target: "/", host: "example.amazonaws.com", service: "service", body: "Param1=value1",
			contentType: "application/x-www-form-urlencoded", signed: []string{"content-type", "host", "x-amz-date"},
			signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
		},
		"the ListUsers example": {
			method: "GET", target: "/?Action=ListUsers&Version=2010-05-08", host: "iam.amazonaws.com", service: "iam",
			contentType: "application/x-www-form-urlencoded; charset=utf-8", signed: []string{"content-type", "host", "x-amz-date"},
			signature: "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(test.method, test.target, nil)
			r.Host = test.host
			r.Header.Set("X-Amz-Date", "20150830T123600Z")
			if test.contentType != "" {
				r.Header.Set("Content-Type", test.contentType)
			}
			query, err := plainQuery(r)
			if err != nil {
				t.Fatal(err)
			}
			c := claim{date: "20150830T123600Z", scopeDate: "20150830"}
			c.Region = "us-east-1"
			got := sign(key, c, test.service, canonicalRequest(r, query, test.signed, []byte(test.body)))
			if got != test.signature {
				t.Errorf("signature %s; want %s", got, test.signature)
			}
		})
	}
}
