"""The engine: the model's mathematics made fast, gradients included.

The plain model stands one folder above and reads like the paper; it is the reference that the tests
hold this code to.

    capability.py  which methods of which classes the engine may replace
    linear.py      products of matrices by oneDNN
    gathering.py   weight gradients of a layer, summed over its calls in one product
    gradients.py   a limit on the gradient of a state; autograd switched off inside written-out code
    recurrence.py  all steps of the recurrence as one function with a written-out gradient
    steps.py       its forward and backward pass, with the equations
    step_layer.py  one linear layer over all steps
    cell.py        forward and backward pass of the LSTM's cell
    set_attention.py, windows.py   backward passes of the attention over a set, and of windows
    autoregression.py  NADE's conditionals of all pixels at once, with a written-out gradient
    sampling.py    sums of sampled patches in little memory
"""
