(* Follows a trace of the C++ cache with the model extracted from the proofs: every answer, every count and the whole
   structure must agree after each operation. Reads standard input; exits 1 at the first difference. *)
open Model

let buffer = Bytes.create 65536
let filled = ref 0
let position = ref 0

let word () =
  if !position + 4 > !filled then begin
    let rest = !filled - !position in
    Bytes.blit buffer !position buffer 0 rest;
    position := 0;
    filled := rest;
    while !filled < 4 do
      let n = input stdin buffer !filled (Bytes.length buffer - !filled) in
      if n = 0 then (prerr_endline "check_trace: the trace ends early"; exit 1);
      filled := !filled + n
    done
  end;
  let value = Int32.to_int (Bytes.get_int32_le buffer !position) land 0xffffffff in
  position := !position + 4;
  value

let words () = let n = word () in List.init n (fun _ -> word ())

let records = ref 0
let trie_operations = ref 0
let tree_operations = ref 0
let structures = ref 0

let show l = "[" ^ String.concat " " (List.map string_of_int l) ^ "]"
let differ what cpp model =
  Printf.eprintf "check_trace: record %d: %s: C++ %s, model %s\n" !records what cpp model;
  exit 1
let same what cpp model = if cpp <> model then differ what (string_of_int cpp) (string_of_int model)
let same_list what cpp model = if cpp <> model then differ what (show cpp) (show model)

let page_tokens = ref 16
let state = ref (initial 0)
let tree = ref Empty

let describe n =
  Printf.sprintf "start %d end %d pages %s tail %b holds %d pinned %b last use %d in order %b" n.start (stop n)
    (show (pages_of n)) (n.tail <> None) n.holds n.pinned n.last_use n.in_order

let rec drop k l = if k = 0 then l else match l with [] -> [] | _ :: rest -> drop (k - 1) rest

let rec compare_paths (a : int list) (b : int list) =
  match a, b with
  | [], [] -> 0
  | [], _ -> -1
  | _, [] -> 1
  | x :: a, y :: b -> if x < y then -1 else if x > y then 1 else compare_paths a b
let equal a b = compare_paths a b = 0

let check_structure () =
  incr structures;
  let nodes = List.sort (fun a b -> compare_paths a.n_path b.n_path) !state.nodes in
  same "number of nodes" (word ()) (List.length nodes);
  List.iter
    (fun n ->
      let start = word () in
      let stop_ = word () in
      let edge = words () in
      let pages = words () in
      let has_tail = word () = 1 in
      let holds = word () in
      let pinned = word () = 1 in
      let last_use = word () in
      let in_order = word () = 1 in
      if start <> n.start || stop_ <> stop n || not (equal edge (drop n.start n.n_path))
         || not (equal pages (pages_of n))
         || has_tail <> (n.tail <> None) || holds <> n.holds || pinned <> n.pinned || last_use <> n.last_use
         || in_order <> n.in_order
      then
        differ ("node " ^ show n.n_path)
          (Printf.sprintf "start %d end %d edge %s pages %s tail %b holds %d pinned %b last use %d in order %b" start
             stop_ (show edge) (show pages) has_tail holds pinned last_use in_order)
          (describe n))
    nodes

let check_counts () =
  incr trie_operations;
  let nodes = !state.nodes in
  same "free pages" (word ()) (List.length !state.free);
  same "published pages" (word ()) (List.fold_left (fun s n -> s + List.length (pages_of n)) 0 nodes);
  same "evictable pages" (word ()) (num_evictable nodes)

(* A page that the C++ chose to copy from: the path of the node that owns it, so that the model chooses it too. *)
let hint_of copy =
  if copy = 0 then []
  else
    match List.find_opt (fun n -> List.mem (copy - 1) (pages_of n)) !state.nodes with
    | Some n -> n.n_path
    | None -> differ "copy source" (string_of_int (copy - 1)) "not published"

let apply op = state := step !page_tokens !state op

let check_match () =
  let id = word () in
  let recompute = word () = 1 in
  let tokens = words () in
  let matched = word () in
  let pages = words () in
  let copy = word () in
  if not (fresh id !state) then differ "lease" "given" "in use";
  let after, result = match_ !page_tokens id recompute tokens (hint_of copy) !state in
  same "matched" matched result.m_matched;
  same_list "pages" pages result.m_pages;
  same "copy source" copy (match result.m_copy with Some p -> p + 1 | None -> 0);
  state := after

let check_extend () =
  let id = word () in
  let computed = words () in
  let published = word () in
  ignore (word ());
  let replaced = words () in
  let after, pages = extend !page_tokens id computed !state in
  same_list "pages that replace" replaced pages;
  state := after;
  match List.assoc_opt id after.leases with
  | Some l -> same "published" published (List.length l.l_node)
  | None -> differ "lease" "alive" "gone"

let check_allocate () =
  let id = word () in
  let num = word () in
  let done_ = word () = 1 in
  let pages = words () in
  let result, after = allocate_pages !page_tokens id num !state in
  (match result with
   | Some taken -> if not done_ then differ "allocation" "refused" "done"; same_list "pages" pages taken
   | None -> if done_ then differ "allocation" "done" "refused");
  state := after

let rec check_tree t =
  let present = word () = 1 in
  match t with
  | Empty -> if present then differ "tree" "a node" "none"
  | Node (r, l, key, v) ->
    if not present then differ "tree" "none" (string_of_int key);
    same "key" (word ()) key;
    same "parity of rank" (word ()) ((r - 1) land 1);
    check_tree l;
    check_tree v

let change_tree result =
  incr tree_operations;
  let changed, rotations = result in
  if rotations > 2 then differ "rotations" "at most 2" (string_of_int rotations);
  tree := changed;
  check_tree changed

let less a b = a < b

let rec loop () =
  let record = word () in
  if record = 99 then same "number of records" (word ()) !records
  else begin
    incr records;
    (match record with
     | 1 -> state := initial (word ()); page_tokens := word ()
     | 2 -> check_match (); check_counts ()
     | 3 ->
       let from = word () in
       let id = word () in
       ignore (words ());
       apply (Fork (from, id)); check_counts ()
     | 4 -> check_allocate (); check_counts ()
     | 5 -> check_extend (); check_counts ()
     | 6 -> let id = word () in apply (Finish (id, words ())); check_counts ()
     | 7 -> apply (DropCopy (word ())); check_counts ()
     | 8 -> apply (Release (word ())); check_counts ()
     | 9 ->
       let num = word () in
       let freed, after = evict !page_tokens num !state in
       same "freed" (word ()) freed;
       state := after; check_counts ()
     | 10 ->
       let kept, after = pin !page_tokens (words ()) !state in
       same "kept" (word ()) kept;
       state := after; check_counts ()
     | 11 ->
       let found, after = unpin !page_tokens (words ()) !state in
       same "unpinned" (word ()) (if found then 1 else 0);
       state := after; check_counts ()
     | 12 ->
       let matched = peek !page_tokens (words ()) !state in
       same "peek" (word ()) matched; check_counts ()
     | 13 -> check_structure ()
     | 14 -> tree := Empty
     | 15 -> change_tree (insert less (word ()) !tree)
     | 16 -> change_tree (erase less (word ()) !tree)
     | other -> differ "record" (string_of_int other) "unknown");
    loop ()
  end

let () =
  set_binary_mode_in stdin true;
  loop ();
  if !trie_operations = 0 || !tree_operations = 0 then (prerr_endline "check_trace: an empty trace"; exit 1);
  Printf.printf "lockstep: %d trie operations, %d structures compared, %d WAVL operations: C++ and model agree\n"
    !trie_operations !structures !tree_operations
