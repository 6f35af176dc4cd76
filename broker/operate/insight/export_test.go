package insight

// AddressOf is how an address of a question is read.
var AddressOf = addressOf
