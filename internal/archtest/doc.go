// Package archtest holds the rules of ARCHITECTURE.md and CONTRIBUTING.md as tests.
package archtest
