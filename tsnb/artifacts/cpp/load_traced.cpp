// Runs a trace without Python: token ids go in by name, numbers come out by name, as JSON.
//
//     load_traced FILE input_ids="2 14 5 3" attention_mask="1 1 1 1" ...
//     load_traced FILE input_ids="2 14 3; 2 9 3" ...      a batch of two rows
//     load_traced FILE --all - < ids.txt                  ids.txt holds a line for each name=ids
//
// FILE is what tsnb.save wrote. Of each output the first five values are printed, or all of them.
// Tokenising is not done here: ids come from where the tokenizer is.

#include <torch/script.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <limits>
#include <map>
#include <sstream>

using c10::str;
using Strings = std::vector<std::string>;
using Ids = std::map<std::string, torch::Tensor>;
using Misuse = std::invalid_argument;  // what was given does not fit

struct Contract {
  Strings inputs, outputs;
  std::map<std::string, torch::Dtype> dtypes;
};

// The strings in the list or map behind a key. The contract is JSON, but the names in it are plain
// words, so that a search finds them; to read more of it, take a JSON library.
Strings strings_behind(const std::string& key, const std::string& json) {
  Strings found;
  const size_t start = json.find(':', json.find('"' + key + "\":"));
  const size_t end = json.find_first_of("]}", start);
  if (end == std::string::npos) return found;
  for (size_t open = json.find('"', start); open < end;) {
    const size_t close = std::min(json.find('"', open + 1), end);
    found.push_back(json.substr(open + 1, close - open - 1));
    open = json.find('"', close + 1);
  }
  return found;
}

Contract read_contract(const std::string& json) {
  Contract contract{strings_behind("input_names", json), strings_behind("output_names", json), {}};
  for (const auto& name : contract.inputs) contract.dtypes[name] = torch::kLong;
  const Strings pairs = strings_behind("dtypes", json);  // name, dtype, name, dtype, ...
  for (size_t i = 0; i + 1 < pairs.size(); i += 2)
    contract.dtypes[pairs[i]] = c10::getStringToDtypeMap().at(pairs[i + 1]);
  return contract;
}

// Adds the tensor of two rows and three columns that "input_ids=2 14 3; 2 9 3" stands for.
void add(Ids& given, const std::string& argument) {
  const size_t sign = argument.find('=');
  if (sign == std::string::npos) throw Misuse("expected name=ids, got " + argument);
  const std::string name = argument.substr(0, sign);
  std::istringstream lines(argument.substr(sign + 1));
  std::vector<torch::Tensor> rows;
  for (std::string line, word; std::getline(lines, line, ';');) {
    std::vector<int64_t> row;
    for (std::istringstream words(line); words >> word;) {
      const char* end = word.data() + word.size();
      const auto read = std::from_chars(word.data(), end, row.emplace_back());
      if (read.ec != std::errc() || read.ptr != end)
        throw Misuse(name + " has " + word + ", which is not a whole number of 64 bits");
    }
    rows.push_back(torch::tensor(row));
    if (rows.back().numel() != rows.front().numel())
      throw Misuse(str(name, " has rows of ", rows.front().numel(), " and ", row.size(), " ids"));
  }
  if (rows.empty() || rows.front().numel() == 0) throw Misuse(name + " has no ids");
  if (!given.emplace(name, torch::stack(rows)).second) throw Misuse(name + " is given twice");
}

// The tensors in the order of the trace, which need not be the order they were given in.
std::vector<torch::jit::IValue> in_order(const Contract& contract, const Ids& given) {
  const std::string takes = "; the trace takes " + c10::Join(", ", contract.inputs);
  for (const auto& [name, ids] : given) {
    const auto& [first, expected] = *given.begin();
    if (std::count(contract.inputs.begin(), contract.inputs.end(), name) == 0)
      throw Misuse("there is no input " + name + takes);
    if (ids.sizes() != expected.sizes())  // torch may stretch the smaller one and say nothing
      throw Misuse(str(first, " has shape ", expected.sizes(), ", ", name, " has ", ids.sizes(),
                       "; all inputs need the same shape"));
  }
  std::vector<torch::jit::IValue> ordered;
  for (const auto& name : contract.inputs) {
    if (given.count(name) == 0) throw Misuse("the input " + name + " is missing" + takes);
    ordered.emplace_back(given.at(name).to(contract.dtypes.at(name)));
  }
  return ordered;
}

// Prints "name": {...} with so many digits that a reader gets back the very same numbers: whole
// numbers as they are, because a double cannot hold those beyond 2^53.
void print(const std::string& name, const torch::Tensor& output, bool all) {
  const bool whole = c10::isIntegralType(output.scalar_type(), /*includeBool=*/true);
  const auto values = output.flatten().to(whole ? torch::kLong : torch::kDouble);
  const int64_t count = all ? values.numel() : std::min<int64_t>(values.numel(), 5);
  std::cout << '"' << name << "\": {\"dtype\": \"" << c10::getDtypeNames(output.scalar_type()).first
            << "\", \"shape\": " << output.sizes() << ", \"values\": [";
  std::cout.precision(output.scalar_type() == torch::kFloat
                          ? std::numeric_limits<float>::max_digits10
                          : std::numeric_limits<double>::max_digits10);
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) std::cout << ", ";
    if (whole) {
      const int64_t value = values.const_data_ptr<int64_t>()[i];
      if (output.scalar_type() == torch::kUInt64) std::cout << static_cast<uint64_t>(value);
      else std::cout << value;
      continue;
    }
    const double value = values.const_data_ptr<double>()[i];
    if (std::isfinite(value)) std::cout << value;
    else std::cout << (std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
  }
  std::cout << "]}";
}

torch::jit::Module load(const std::string& file, torch::jit::ExtraFilesMap& extra) {
  if (!std::filesystem::is_regular_file(file)) throw Misuse("there is no file " + file);
  try {
    return torch::jit::load(file, torch::kCPU, extra);
  } catch (const std::exception&) {
    throw Misuse(file + " is not TorchScript that this torch can read");
  }
}

void run(Strings arguments) {
  const bool all = std::erase(arguments, "--all") > 0;
  if (arguments.empty()) throw Misuse("usage: load_traced FILE [--all] name=ids ...");
  const std::string file = arguments.front();
  arguments.erase(arguments.begin());
  if (std::erase(arguments, "-") > 0)
    for (std::string line; std::getline(std::cin, line);) arguments.push_back(line);
  Ids given;
  for (const auto& argument : arguments) add(given, argument);

  c10::InferenceMode no_gradients;
  torch::jit::ExtraFilesMap extra{{"tsnb_contract.json", ""}};
  auto module = load(file, extra);
  const Contract contract = read_contract(extra.at("tsnb_contract.json"));
  if (contract.inputs.empty()) throw Misuse(file + " holds no contract; tsnb.save writes one");

  std::vector<torch::Tensor> outputs;  // a model returns a tensor, or tensors in tuples and lists
  module.forward(in_order(contract, given)).visit([&](const torch::jit::IValue& part) {
    if (part.isTensor()) outputs.push_back(part.toTensor());
    return false;
  });
  std::cout << '{';
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (i > 0) std::cout << ",\n ";
    print(i < contract.outputs.size() ? contract.outputs[i] : str("output_", i), outputs[i], all);
  }
  std::cout << "}\n";
}

int main(int count, char** arguments) {
  try {
    run(Strings(arguments + 1, arguments + count));
    return 0;
  } catch (const Misuse& error) {
    std::cerr << "load_traced: " << error.what() << '\n';
    return 2;
  } catch (const std::exception& error) {  // the model; its traceback ends in what went wrong
    std::string text = error.what();
    text.erase(text.find_last_not_of('\n') + 1);
    std::cerr << "load_traced: " << text.substr(text.rfind('\n') + 1) << '\n';
    return 1;
  }
}
