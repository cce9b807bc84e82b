package balance

import (
	"fmt"
	"testing"
	"time"
)

func BenchmarkPick(b *testing.B) {
	for _, k := range kinds {
		for _, n := range []int{3, 100} {
			b.Run(fmt.Sprintf("%v/%d", k, n), func(b *testing.B) {
				members := equal(n)
				for i, m := range members {
					m.Weight = 10 + i%3
					m.Load.Begin(0)
					m.Load.End(0, time.Duration(i+1)*time.Millisecond, false)
					m.Load.Begin(0)
				}
				p := build(k, members)
				r := &Request{Now: time.Second}
				for r.Key = range 4096 { // hash kinds find the choices of each slot once
					p.Pick(r)
				}
				b.ReportAllocs()
				for b.Loop() {
					r.Key = (r.Key + 1) % 4096
					p.Pick(r)
				}
			})
		}
	}
}

// BenchmarkPickRefused is a pick whose first choice refuses, or all of them.
func BenchmarkPickRefused(b *testing.B) {
	for _, k := range kinds {
		for _, all := range []bool{false, true} {
			b.Run(fmt.Sprintf("%v/all=%v", k, all), func(b *testing.B) {
				p := build(k, equal(100))
				f := &refuseFirst{all: all}
				r := &Request{Filter: f}
				for b.Loop() {
					r.Key += golden
					f.asked = 0
					p.Pick(r)
				}
			})
		}
	}
}

type refuseFirst struct {
	all   bool
	asked int
}

func (f *refuseFirst) Takes(int) bool {
	f.asked++
	return !f.all && f.asked > 1
}

func BenchmarkNew(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.String(), func(b *testing.B) {
			members := equal(100)
			for i := range members {
				members[i].Weight = 100 - i%7
			}
			for b.Loop() {
				build(k, members)
			}
		})
	}
}

// BenchmarkFirstPick is a pick for a slot of keys whose choices aren't known yet.
func BenchmarkFirstPick(b *testing.B) {
	p := newHashed(equal(100), seeded(1), 0)
	r := &Request{}
	for b.Loop() {
		p.slots[mix(r.Key)>>(64-slotBits)].Store(0)
		p.Pick(r)
	}
}
