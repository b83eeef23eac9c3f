"""Inside the sandbox: take away what a package would answer an exercise with.

A chapter's exercise module may hold a table ``SEALED``:

=============  ======================================================================================================
``message``    what the student reads
``names``      functions and classes of Python: they are changed *in place*, so that every other name of the same
               object, and every reference that something keeps, raises as well
``operators``  PyTorch's operators by name or pattern: a kernel that raises takes their place in the dispatcher, under
               every entrance (``torch.ops``, ``torch._C``, TorchScript, C++)
``files``      files and folders below the folder of packages that hold a second implementation in Python. They, and
               the source and bytecode of the ``names``, are laid over with nothing in each runner, so that nothing can
               be loaded anew
=============  ======================================================================================================

Of the exercise module itself only what the drives need stays: cases and named mistakes are made outside, and what
makes them often holds most of an answer (see :func:`strip`).

This happens after the packages are loaded and before the first fork. In a student's own kernel nothing is taken away.
No table keeps a student from writing the same thing with other operations: that is what the exercise asks for.
"""

import ctypes
import fnmatch
import functools
import importlib
import inspect
import os
import sys

# The keys under which a call of an operator on ordinary tensors can arrive. Others are taken where PyTorch has a kernel
# of its own: under torch.vmap's keys, for one, an operator is put together from others without asking for it by name.
_KEYS = ("CPU", "AutogradCPU", "CompositeImplicitAutograd", "Meta", "NestedTensorCPU", "AutogradNestedTensor")


def apply(table):
    """Seal what a table names.

    Parameters
    ----------
    table : dict
        See the module's docstring.

    Returns
    -------
    list of str
        Files and folders to be hidden in each runner, see :func:`autograder.grading.confine.confine`.
    """
    message = table["message"]
    for package in {name.partition(".")[0] for name in table.get("names", ())}:
        importlib.import_module(package)
    hidden = [path for name in table.get("names", ()) for path in _seal_name(name, message)]
    if table.get("operators") and "torch" in sys.modules:
        _seal_operators(table["operators"], message)
    places = [place for place in sys.path if os.path.isdir(place)]
    hidden += [os.path.join(place, name) for place in places for name in table.get("files", ())]
    return sorted({path for path in hidden if os.path.exists(path)})


def strip(module):
    """Seal every function and class of an exercise module that no drive reaches.

    Parameters
    ----------
    module : module
        Of exercises.

    Returns
    -------
    list of str
        The module's file, to be hidden in each runner.
    """
    exercises = [value for value in vars(module).values() if hasattr(value, "drive") and hasattr(value, "mistakes")]
    kept, waiting = [], [exercise.drive for exercise in exercises]
    while waiting:
        found = waiting.pop()
        if not any(found is known for known in kept):
            kept.append(found)
            waiting += _reached(found, module)
    made = [m.function for exercise in exercises for m in exercise.mistakes] + [e._cases for e in exercises]
    for found in (*made, *list(vars(module).values())):
        mine = (inspect.isfunction(found) or inspect.isclass(found)) and found.__module__ == module.__name__
        if mine and not any(found is known for known in kept):
            _seal_object(found, found.__name__, "this makes the cases and the mistakes of the checks, and is not here")
    return [module.__file__]


def _reached(found, module):
    """What an object of an exercise module uses: through names, closures, wrappers, methods and containers."""
    if isinstance(found, functools.partial):
        return [found.func, *found.args, *found.keywords.values()]
    if isinstance(found, (list, tuple, set, frozenset)):
        return list(found)
    if isinstance(found, dict):
        return list(found.values())
    if isinstance(found, (staticmethod, classmethod)):
        return [found.__func__]
    if isinstance(found, property):
        return [found.fget, found.fset]
    if inspect.isclass(found) and found.__module__ == module.__name__:
        return [*vars(found).values(), *found.__bases__]
    if not inspect.isfunction(found) or found.__module__ != module.__name__:
        return []
    names, codes = set(), [found.__code__]
    while codes:
        code = codes.pop()
        names |= {*code.co_names}
        codes += [constant for constant in code.co_consts if inspect.iscode(constant)]
    reached = [vars(module)[name] for name in sorted(names & vars(module).keys())]
    reached += [cell.cell_contents for cell in found.__closure__ or ()]
    return [
        *reached,
        *(found.__defaults__ or ()),
        *(found.__kwdefaults__ or {}).values(),
        getattr(found, "__wrapped__", 0),
    ]


def _seal_object(found, name, message):
    """Seal a function of Python with all it wraps, or the methods of a class."""
    if inspect.isclass(found):
        for value in list(vars(found).values()):
            value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
            if inspect.isfunction(value):
                _raise_instead(value, name, message)
    while inspect.isfunction(found):
        inner = getattr(found, "__wrapped__", None)
        _raise_instead(found, name, message)
        found = inner


def _seal_name(name, message):
    """Seal one Python object; the files that its module was loaded from."""
    module, _, attribute = name.rpartition(".")
    found = getattr(sys.modules.get(module), attribute, None)
    if found is None:
        return []  # this version has no such thing
    if inspect.isclass(found) or inspect.isfunction(found):
        _seal_object(found, name, message)
    else:  # a built-in function: the name goes, the operator below it is sealed as one
        setattr(sys.modules[module], attribute, functools.partial(_refuse, name, message))
        return []
    home = getattr(sys.modules.get(getattr(found, "__module__", None) or module), "__file__", None)
    folder, file = os.path.split(home or "")
    cache = os.path.join(folder, "__pycache__")
    compiled = [os.path.join(cache, f) for f in os.listdir(cache)] if os.path.isdir(cache) else []
    return [home, *(path for path in compiled if os.path.basename(path).startswith(f"{file[:-3]}."))] if home else []


def _refuse(name, message, *args, **kwargs):
    raise RuntimeError(f"{name}: {message}")


def _raise_instead(function, name, message):
    """Give a function other code: whoever holds it holds the new code."""
    # As many free variables as before, or Python refuses.
    free = "".join(f"    {cell} = None\n" for cell in function.__code__.co_freevars)
    kept = "".join(f"        {cell}\n" for cell in function.__code__.co_freevars)
    body = f"        raise RuntimeError({f'{name}: {message}'!r})\n{kept}"
    text = f"def outer():\n{free}    def sealed(*args, **kwargs):\n{body}"
    namespace = {}
    exec(text + "    return sealed\n", namespace)
    function.__code__ = namespace["outer"]().__code__
    function.__defaults__ = function.__kwdefaults__ = None
    function.__dict__.pop("__wrapped__", None)


def _has_kernel(operator, key):
    import torch

    try:
        return torch._C._dispatch_has_kernel_for_dispatch_key(operator, key)
    except RuntimeError:  # a key that is only a name for a range of keys
        return False


def _seal_operators(patterns, message):
    import torch

    known = torch._C._dispatch_get_all_op_names()
    libraries = {}
    for full in known:
        name, _, overload = full.partition(".")
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            continue

        def refuse(*args, name=name, **kwargs):
            raise RuntimeError(f"{name}: {message}")

        others = [k for k in torch._C.DispatchKey.__members__ if _has_kernel(full, k)]
        for key in dict.fromkeys((*_KEYS, *others)):
            try:
                if key not in libraries:
                    libraries[key] = torch._C._dispatch_library("IMPL", "aten", key, "", 0)
                libraries[key].impl(full.partition("::")[2], key, refuse, False)
            except RuntimeError:
                continue
    for library in libraries.values():
        # Nobody can find these objects, and while they live their kernels stay.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(library))
