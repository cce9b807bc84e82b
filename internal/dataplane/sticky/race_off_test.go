//go:build !race

package sticky

const raceOn = false
