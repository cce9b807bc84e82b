package netio

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFirst(t *testing.T) {
	failed := errors.New("failed")
	stopped := errors.New("stopped")
	for _, test := range []struct {
		name           string
		afterA, afterB time.Duration
		errA, errB     error
		first          int
		wantA, wantB   error
		took           time.Duration
	}{
		{"a answers first", 1, 3, nil, nil, 0, nil, stopped, 1},
		{"b answers first", 3, 1, nil, nil, 1, stopped, nil, 1},
		{"a fails, b answers", 1, 3, failed, nil, 1, failed, nil, 3},
		{"b fails, a answers", 3, 1, nil, failed, 0, nil, failed, 3},
		{"both fail", 1, 3, failed, failed, 0, failed, failed, 3},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			stopA, stopB := make(chan struct{}), make(chan struct{})
			part := func(after time.Duration, err error, stop chan struct{}) func() error {
				return func() error {
					select {
					case <-time.After(after):
						return err
					case <-stop:
						return stopped
					}
				}
			}
			first, errA, errB := First(part(test.afterA, test.errA, stopA), part(test.afterB, test.errB, stopB),
				func() { close(stopA) }, func() { close(stopB) })
			if first != test.first || errA != test.wantA || errB != test.wantB || time.Since(start) != test.took {
				t.Errorf("%s: First = %d, %v, %v after %d, want %d, %v, %v after %d", test.name, first, errA, errB,
					time.Since(start), test.first, test.wantA, test.wantB, test.took)
			}
		})
	}
}
