(* Invariant: what holds of the nodes between operations, given the paths that are held, and that holds, releases,
   splits and merges keep it. *)
From Coq Require Import Arith List Bool Lia.
From Tattletale Require Import PagePool LongestPrefix RadixTrie TrieNodes TrieStructure TrieWalk TrieGrow.
Import ListNotations.

Fixpoint copies (s : path) (held : list path) : nat :=
  match held with [] => 0 | h :: rest => (if same_path s h then 1 else 0) + copies s rest end.
Lemma copies_app s a b : copies s (a ++ b) = copies s a + copies s b.
Proof. induction a; cbn; lia. Qed.
Lemma same_path_refl s : same_path s s = true.
Proof. apply same_path_spec. reflexivity. Qed.
Lemma copies_in s held : In s held <-> 0 < copies s held.
Proof.
  induction held as [|h held IH]; cbn; [lia|]. destruct (same_path s h) eqn:E.
  - apply same_path_spec in E. subst. split; auto; lia.
  - apply same_path_false in E. rewrite IH. split; [intros [->|H]; [congruence|lia]|intros; right; lia].
Qed.

Section Invariant.
Variable P : nat.
Hypothesis P_positive : 0 < P.

(* xb: a node that may for the moment end inside a page without owning it; xo: a leaf that for the moment may miss from
   the eviction order. [] for none. *)
Record node_inv (ns : list node) (held : list path) (xb xo : path) : Prop := {
  i_wf : well_formed P ns;
  (* A node that ends inside a page and does not own it has two children to borrow its last tokens from. *)
  i_backed : forall n, In n ns -> n_path n <> xb -> stop n mod P <> 0 -> tail n = None -> branching ns (n_path n);
  (* Only leaves stand in the order, and every leaf that nobody holds does. *)
  i_leaf : forall n, In n ns -> in_order n = true -> leaf ns (n_path n);
  i_order : forall n, In n ns -> n_path n <> xo -> leaf ns (n_path n) -> holds n = 0 -> in_order n = true;
  (* The counters are the truth. *)
  i_holds : forall n, In n ns -> holds n = copies (n_path n) held + (if pinned n then 1 else 0);
  i_held : forall s, In s held -> a_node s ns;
  (* What is held ends with a page of its own. *)
  i_solid : forall n, In n ns -> holds n <> 0 -> stop n mod P = 0 \/ tail n <> None
}.

Lemma path_not_nil ns n : well_formed P ns -> In n ns -> n_path n <> [].
Proof. intros W Hn E. destruct (wf_shape P ns W n Hn) as (S & _). unfold stop in S. rewrite E in S. cbn in S. lia. Qed.
Lemma leaf_ext ns ns' s : (forall q, edge_of ns' q <-> edge_of ns q) -> leaf ns' s <-> leaf ns s.
Proof. intros E. unfold leaf. split; intros L a; [rewrite <- E|rewrite E]; auto. Qed.
Lemma branching_ext ns ns' s : (forall q, edge_of ns' q <-> edge_of ns q) -> branching ns' s <-> branching ns s.
Proof. intros E. unfold branching. setoid_rewrite E. tauto. Qed.
Lemma branching_not_leaf ns s : branching ns s -> ~ leaf ns s.
Proof. intros (a & _ & _ & E & _) L. apply (L a E). Qed.
Lemma branching_children ns s : well_formed P ns -> a_node s ns -> branching ns s -> children s ns <> [].
Proof.
  intros W A (a & _ & _ & E & _) C. destruct (edge_child P P_positive ns s a W A E) as (c & I & _). rewrite C in I. destruct I.
Qed.
Lemma node_inv_weaken ns held xb xo : node_inv ns held [] xo -> node_inv ns held xb xo.
Proof.
  intros [W B L O H D S]. constructor; auto. intros n Hn _. apply B; auto. eapply path_not_nil; eauto.
Qed.
Lemma node_inv_held ns held held' xb xo : (forall s, s <> [] -> copies s held = copies s held') ->
  node_inv ns held xb xo -> node_inv ns held' xb xo.
Proof.
  intros E [W B L O H D S]. constructor; auto.
  - intros n Hn. rewrite <- E; auto. eapply path_not_nil; eauto.
  - intros s I. destruct s as [|a s]; [left; reflexivity|]. apply D. apply copies_in. apply copies_in in I.
    rewrite E; [auto|discriminate].
Qed.

(* No node ends strictly inside an edge. *)
Lemma inside_not_node ns n k : well_formed P ns -> In n ns -> start n < k < stop n -> ~ a_node (firstn k (n_path n)) ns.
Proof.
  intros W Hn (L1 & L2). assert (Lk : length (firstn k (n_path n)) = k) by (rewrite firstn_length; unfold stop in *; lia).
  intros [E|I]; [rewrite E in Lk; cbn in Lk; lia|]. apply in_paths in I. destruct I as (m & Hm & Em).
  assert (m = n).
  { apply (wf_disjoint P ns W m n (n_path m)); auto; [apply (on_own_edge P), (wf_shape P ns W m Hm)|].
    rewrite Em. split; [apply prefix_firstn|lia]. }
  subst m. unfold stop in L2. rewrite Em in L2. lia.
Qed.
Lemma not_node_no_copies ns held xb xo s : node_inv ns held xb xo -> ~ a_node s ns -> copies s held = 0.
Proof.
  intros V N. destruct (Nat.eq_dec (copies s held) 0) as [|C]; auto. exfalso. apply N.
  apply (i_held _ _ _ _ V). apply copies_in. lia.
Qed.

(* ---- changes beside the structure *)
Lemma a_node_map g ns s : meta_only g -> a_node s (map g ns) <-> a_node s ns.
Proof.
  intros M. unfold a_node. assert (paths (map g ns) = paths ns) as ->; [|tauto].
  unfold paths. rewrite map_map. apply map_ext. intros n. apply M.
Qed.
Lemma meta_inv g ns held held' xb xo xo' : meta_only g -> node_inv ns held xb xo ->
  (forall n, In n ns -> in_order (g n) = true -> leaf ns (n_path n)) ->
  (forall n, In n ns -> n_path n <> xo' -> leaf ns (n_path n) -> holds (g n) = 0 -> in_order (g n) = true) ->
  (forall n, In n ns -> holds (g n) = copies (n_path n) held' + (if pinned (g n) then 1 else 0)) ->
  (forall s, In s held' -> a_node s ns) ->
  (forall n, In n ns -> holds (g n) <> 0 -> stop n mod P = 0 \/ tail n <> None) ->
  node_inv (map g ns) held' xb xo'.
Proof.
  intros M V L O H D S. destruct (meta_ok P g ns M (i_wf _ _ _ _ V)) as (W & Sm). pose proof (same_edges P _ _ Sm) as E.
  constructor; auto.
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). destruct (M m) as (Ep & _ & _ & Et).
    unfold stop. rewrite Ep, Et. rewrite (branching_ext _ _ _ E). apply (i_backed _ _ _ _ V m Hm).
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). destruct (M m) as (Ep & _ & _ & Et).
    rewrite Ep, (leaf_ext _ _ _ E). auto.
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). destruct (M m) as (Ep & _ & _ & Et).
    rewrite Ep, (leaf_ext _ _ _ E). auto.
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). destruct (M m) as (Ep & _ & _ & Et). rewrite Ep. auto.
  - intros s I. apply a_node_map; auto.
  - intros n I. apply in_map_iff in I. destruct I as (m & <- & Hm). destruct (M m) as (Ep & _ & _ & Et).
    unfold stop. rewrite Ep, Et. apply S; auto.
Qed.

Lemma touch_inv f ns held xb xo use : node_inv ns held xb xo ->
  node_inv (map (fun n => if f n : bool then set_use use n else n) ns) held xb xo.
Proof.
  intros V. apply (meta_inv _ ns held held xb xo xo); auto.
  - intros n. destruct (f n); cbn; auto.
  - intros n Hn E. apply (i_leaf _ _ _ _ V n Hn). destruct (f n); auto.
  - intros n Hn N L Z. assert (in_order n = true) by (apply (i_order _ _ _ _ V n Hn); auto; destruct (f n); auto).
    destruct (f n); auto.
  - intros n Hn. pose proof (i_holds _ _ _ _ V n Hn) as H. destruct (f n); exact H.
  - apply (i_held _ _ _ _ V).
  - intros n Hn Z. apply (i_solid _ _ _ _ V n Hn). destruct (f n); auto.
Qed.

(* ---- hold *)
Lemma hold_meta s : meta_only (fun n => if same_path (n_path n) s then set_holds (S (holds n)) n else n).
Proof. intros n. destruct (same_path (n_path n) s); cbn; auto. Qed.
Theorem hold_inv s ns held xb xo xo' : node_inv ns held xb xo -> a_node s ns -> (xo' = xo \/ xo = s) ->
  (forall n, In n ns -> n_path n = s -> stop n mod P = 0 \/ tail n <> None) ->
  node_inv (hold s ns) (s :: held) xb xo'.
Proof.
  intros V A X Sol. apply (meta_inv _ ns held _ xb xo xo'); auto using hold_meta.
  - intros n Hn E. apply (i_leaf _ _ _ _ V n Hn). destruct (same_path (n_path n) s); auto.
  - intros n Hn N L Z. destruct (same_path (n_path n) s) eqn:E; [discriminate|]. apply same_path_false in E.
    apply (i_order _ _ _ _ V n Hn); auto. destruct X; congruence.
  - intros n Hn. cbn [copies]. destruct (same_path (n_path n) s) eqn:E; cbn [holds pinned set_holds];
      rewrite (i_holds _ _ _ _ V n Hn); lia.
  - intros q [<-|I]; auto. apply (i_held _ _ _ _ V); auto.
  - intros n Hn. destruct (same_path (n_path n) s) eqn:E; cbn.
    + intros _. apply Sol; auto. apply same_path_spec; auto.
    + apply (i_solid _ _ _ _ V n Hn).
Qed.

(* ---- recuts *)
Lemma transfer ns ns' held xb xb' xo : node_inv ns held xb xo -> well_formed P ns' ->
  (forall q, edge_of ns' q <-> edge_of ns q) ->
  (forall x, In x ns' -> (exists y, In y ns /\ n_path x = n_path y /\ same_meta x y) \/
     (holds x = 0 /\ pinned x = false /\ in_order x = false /\ ~ leaf ns (n_path x) /\ copies (n_path x) held = 0 /\
      (n_path x <> xb' -> stop x mod P = 0))) ->
  (forall s, In s held -> a_node s ns') ->
  (forall x, In x ns' -> n_path x = xb -> n_path x <> xb' -> stop x mod P <> 0 -> tail x = None -> branching ns' (n_path x)) ->
  node_inv ns' held xb' xo.
Proof.
  intros V W E Or D X. constructor; auto.
  - intros x Hx N M T. destruct (Or x Hx) as [(y & Hy & Ep & Et & _)|(_ & _ & _ & _ & _ & A)]; [|exfalso; auto].
    destruct (same_path (n_path x) xb) eqn:Q; [apply same_path_spec in Q; apply X; auto|apply same_path_false in Q].
    rewrite (branching_ext _ _ _ E), Ep. apply (i_backed _ _ _ _ V y Hy); try congruence.
    unfold stop in *. congruence.
  - intros x Hx O. rewrite (leaf_ext _ _ _ E). destruct (Or x Hx) as [(y & Hy & Ep & _ & _ & _ & _ & Eo)|(_ & _ & A & _)]; [|congruence].
    rewrite Ep. apply (i_leaf _ _ _ _ V y Hy). congruence.
  - intros x Hx N L Z. rewrite (leaf_ext _ _ _ E) in L.
    destruct (Or x Hx) as [(y & Hy & Ep & _ & Eh & _ & _ & Eo)|(_ & _ & _ & A & _)]; [|tauto].
    rewrite Eo. rewrite Ep in N, L. apply (i_order _ _ _ _ V y Hy); auto. congruence.
  - intros x Hx. destruct (Or x Hx) as [(y & Hy & Ep & _ & Eh & Epin & _)|(-> & -> & _ & _ & -> & _)]; auto.
    rewrite Eh, Ep, Epin. apply (i_holds _ _ _ _ V y Hy).
  - intros x Hx Z. destruct (Or x Hx) as [(y & Hy & Ep & Et & Eh & _)|(A & _)]; [|congruence].
    rewrite Eh in Z. unfold stop. rewrite Ep, Et. apply (i_solid _ _ _ _ V y Hy Z).
Qed.

Theorem split_inv n at_ ns held xo xb : node_inv ns held [] xo -> In n ns -> start n < at_ < stop n ->
  (at_ mod P = 0 \/ xb = firstn at_ (n_path n)) -> node_inv (split P n at_ ns) held xb xo.
Proof.
  intros V Hn L X. pose proof (i_wf _ _ _ _ V) as W. destruct (split_ok P P_positive n at_ ns W Hn L) as (W' & Sm).
  assert (Lf : length (firstn at_ (n_path n)) = at_) by (rewrite firstn_length; unfold stop in *; lia).
  pose proof (inside_not_node ns n at_ W Hn L) as Not.
  apply (transfer ns _ held [] xb xo); auto.
  - apply (same_edges P _ _ Sm).
  - intros x [<-|[<-|Hx]].
    + right. cbn. repeat split; auto.
      * intros Lf'. destruct (snoc_prefix (firstn at_ (n_path n)) (n_path n)) as (a & Pa); [apply prefix_firstn|unfold stop in *; lia|].
        apply (Lf' a). exists n. repeat split; auto. rewrite app_length, Lf. cbn. lia.
      * eapply not_node_no_copies; eauto.
      * intros N. unfold stop; cbn. rewrite Lf. destruct X as [X| ->]; [auto|congruence].
    + left. exists n. repeat split; auto.
    + apply in_without in Hx. left. exists x. repeat split; tauto.
  - intros s I. destruct (i_held _ _ _ _ V s I) as [->|A]; [left; auto|right]. apply in_paths in A.
    destruct A as (m & Hm & <-). destruct (in_or_not P ns n m W Hn Hm) as [[<-|[]]|N]; [right; left; reflexivity|].
    right. right. apply in_paths. exists m. split; auto. apply in_without. split; auto.
    intros E. apply N. left. symmetry. apply (same_node P ns); auto.
  - intros x Hx E. exfalso. eapply path_not_nil; eauto.
Qed.

Theorem try_merge_inv s ns held xb xo : node_inv ns held xb xo -> (xb = [] \/ xb = s) ->
  (forall n, In n ns -> n_path n = s -> stop n mod P <> 0 -> tail n = None -> children s ns <> []) ->
  node_inv (fst (try_merge P s ns)) held [] xo.
Proof.
  intros V X Ch. pose proof (i_wf _ _ _ _ V) as W. destruct (try_merge_ok P P_positive s ns W) as (W' & Sm).
  pose proof (same_edges P _ _ Sm) as E.
  destruct (try_merge_outcome P P_positive s ns W) as [St|high low Hh Eh C Z T|high low Hh Eh C Z T Np M]; cbn [fst] in *.
  - apply (transfer ns ns held xb [] xo); auto; try tauto.
    + intros x Hx. left. exists x. repeat split; auto.
    + apply (i_held _ _ _ _ V).
    + intros x Hx Ex N M T. destruct X as [->| ->]; [exfalso; eapply path_not_nil; eauto|].
      assert (Z : holds x = 0).
      { destruct (Nat.eq_dec (holds x) 0) as [|Z]; auto. destruct (i_solid _ _ _ _ V x Hx Z); congruence. }
      destruct (St x Hx Ex Z T (Ch x Hx Ex M T)) as [H|H]; [|congruence].
      rewrite Ex. apply (two_children_branch P P_positive); auto.
  - destruct (only_child P s ns high low W Hh Eh C) as (Hl & Sl & Pl & Only).
    assert (Hp : copies (n_path high) held = 0) by (pose proof (i_holds _ _ _ _ V high Hh); lia).
    apply (transfer ns _ held xb [] xo); auto.
    + intros x [<-|Hx].
      * left. exists low. repeat split; auto.
      * apply in_without in Hx. destruct Hx as (Hx & _). apply in_without in Hx. left. exists x. repeat split; tauto.
    + intros q I. destruct (i_held _ _ _ _ V q I) as [->|A]; [left; auto|right]. apply in_paths in A.
      destruct A as (m & Hm & <-). destruct (same_path (n_path m) (n_path low)) eqn:Q.
      * apply same_path_spec in Q. left. symmetry. exact Q.
      * apply same_path_false in Q. right. apply in_paths. exists m. split; auto. apply in_without. split.
        -- apply in_without. auto.
        -- intros Q'. apply copies_in in I. rewrite Q' in I. lia.
    + intros x Hx Ex N M T'. exfalso. destruct X as [->| ->]; [apply N; auto|].
      destruct Hx as [<-|Hx]; [|apply in_without in Hx; destruct Hx; congruence].
      cbn in Ex. rewrite <- Eh in Ex. apply (f_equal (@length _)) in Ex. pose proof (wf_shape P ns W low Hl) as (Sw & _).
      unfold stop in *. lia.
  - destruct (only_child P s ns high low W Hh Eh C) as (Hl & Sl & Pl & Only).
    pose proof (wf_shape P ns W high Hh) as (S1 & S2 & _).
    assert (F1 : floor P (stop high) < stop high) by (apply floor_lt; auto).
    assert (F2 : start high < floor P (stop high)).
    { assert (0 < length (pages high)) by (destruct (pages high); [congruence|cbn; lia]).
      unfold floor. pose proof (Nat.div_mod (start high) P). pose proof (Nat.mod_upper_bound (start high) P). nia. }
    assert (Lf : length (firstn (floor P (stop high)) (n_path high)) = floor P (stop high))
      by (rewrite firstn_length; unfold stop in *; lia).
    pose proof (inside_not_node ns high (floor P (stop high)) W Hh (conj F2 F1)) as Not.
    assert (NL : ~ leaf ns (n_path high)).
    { intros Lf'. destruct (child_edge P P_positive ns (n_path high) low W) as (a & Ea & _); [|apply (Lf' a Ea)].
      rewrite Eh, C. left. auto. }
    assert (Hp : copies (n_path high) held = 0 /\ pinned high = false).
    { pose proof (i_holds _ _ _ _ V high Hh) as H. destruct (pinned high); split; auto; lia. }
    apply (transfer ns _ held xb [] xo); auto.
    + intros x [<-|[<-|Hx]].
      * right. cbn. repeat split; auto.
        -- tauto.
        -- destruct (in_order high) eqn:O; auto. exfalso. apply NL, (i_leaf _ _ _ _ V high Hh O).
        -- intros Lf'. destruct (snoc_prefix (firstn (floor P (stop high)) (n_path high)) (n_path high)) as (a & Pa);
             [apply prefix_firstn|unfold stop in *; lia|].
           apply (Lf' a). exists high. repeat split; auto. rewrite app_length, Lf. cbn. lia.
        -- eapply not_node_no_copies; eauto.
        -- intros _. change (length (firstn (floor P (stop high)) (n_path high)) mod P = 0). rewrite Lf. apply floor_mod; auto.
      * left. exists low. repeat split; auto.
      * apply in_without in Hx. destruct Hx as (Hx & _). apply in_without in Hx. left. exists x. repeat split; tauto.
    + intros q I. destruct (i_held _ _ _ _ V q I) as [->|A]; [left; auto|right]. apply in_paths in A.
      destruct A as (m & Hm & <-). destruct (same_path (n_path m) (n_path low)) eqn:Q.
      * apply same_path_spec in Q. right. left. symmetry. exact Q.
      * apply same_path_false in Q. right. right. apply in_paths. exists m. split; auto. apply in_without. split.
        -- apply in_without. auto.
        -- intros Q'. apply copies_in in I. rewrite Q' in I. lia.
    + intros x Hx Ex N M' T'. exfalso. destruct X as [->| ->]; [apply N; auto|]. rewrite <- Eh in Ex.
      destruct Hx as [<-|[<-|Hx]]; [| |apply in_without in Hx; destruct Hx; congruence].
      * cbn in Ex. rewrite Ex in Lf. unfold stop in *. lia.
      * cbn in Ex. apply (f_equal (@length _)) in Ex. pose proof (wf_shape P ns W low Hl) as (Sw & _).
        unfold stop in *. lia.
Qed.
End Invariant.
