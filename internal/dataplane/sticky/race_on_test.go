//go:build race

package sticky

const raceOn = true // pools drop what they hold at random
