// Package e2e drives the real binaries, rolecalld and rolecall, the way their
// users do: testscript for the command lines, a scripted browser and Debian's
// Chromium for the pages, and an AWS SDK that knows nothing of us.
package e2e
